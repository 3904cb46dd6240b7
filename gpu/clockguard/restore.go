package clockguard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jouletop/gpu"
)

// Stale returns the record of a clock that an earlier run locked and never gave
// back, if there is one and nobody holds the GPU's lease.
func Stale(info gpu.Info, o Options) (Record, bool) { return staleIn(o.dir(), info) }

// ofRoot returns the record that root's guard left behind, which this user can
// read but do nothing about.
func ofRoot(info gpu.Info, o Options) (Record, bool) {
	if o.dir() == systemDir {
		return Record{}, false
	}
	return staleIn(systemDir, info)
}

func staleIn(dir string, info gpu.Info) (Record, bool) {
	if held(dir, info.UUID) && !holderOf(leasePath(dir, info.UUID)).halted() {
		return Record{}, false
	}
	r, found := readRecord(dir, info.UUID)
	if found && r.Boot != bootID() {
		return Record{}, false // a reboot undid it
	}
	return r, found
}

// LockedBy says whose clock setting a GPU has, or may have, as far as leases and
// records tell; "" where they tell of none. It changes nothing.
func LockedBy(info gpu.Info, o Options) string {
	for _, dir := range slices.Compact([]string{o.dir(), systemDir}) {
		rec, locked := readRecord(dir, info.UUID)
		locked = locked && rec.Boot == bootID()
		switch owned := held(dir, info.UUID); {
		case owned && locked:
			return fmt.Sprintf("GPU %d (%s) has %s, which may change it at any time", info.Index, info.UUID, rec)
		case owned:
			return fmt.Sprintf("clock control of GPU %d (%s) is held by %s, which may set its clock at any time",
				info.Index, info.UUID, readHolding(leasePath(dir, info.UUID)).Holder)
		case locked:
			return fmt.Sprintf("GPU %d (%s) still has %s and never given back: `jouletop gpu reset` gives it back", info.Index, info.UUID, rec)
		}
	}
	return ""
}

// Reset gives a GPU's clock back to the driver, in a process of its own: what
// an earlier run left locked, or with force whatever lock there is (the
// operator's own wish, as of `jouletop gpu reset`). It says what it did, "" for
// nothing. Errors wrap ErrHeld, gpu.ErrNoPermission, gpu.ErrReadOnly.
func Reset(ctx context.Context, info gpu.Info, o Options, force bool) (string, error) {
	if o.ReadOnly {
		return "", gpu.ErrReadOnly
	}
	if rec, found := ofRoot(info, o); found && os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: GPU %d has %s; `sudo jouletop gpu reset` gives it back", gpu.ErrNoPermission, info.Index, rec)
	}
	command := append(o.command(), "restore", "--dir", o.dir(), "--log", o.logPath(),
		"--force="+strconv.FormatBool(force), strconv.Itoa(info.Index), info.UUID)
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if r, derr := decodeReply(out.Bytes()); derr == nil {
		if r.code == codeHeld {
			return "", heldFrom(r.text)
		}
		return r.text, r.err()
	}
	return "", fmt.Errorf("reset the SM clock of GPU %d: %w: %s", info.Index, err, strings.TrimSpace(errs.String()))
}

// runRestore is the process behind Reset; it answers with one reply on out.
func runRestore(dir string, index int, uuid string, force bool, open Opener, log *slog.Logger, out io.Writer) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	text, err := restoreOnce(dir, index, uuid, force, open, log)
	r := reply{op: opReset, code: codeOf(err), text: text}
	if err != nil {
		r.text = heldText(err)
		log.Warn("reset", "gpu", uuid, "error", err)
	}
	if _, werr := out.Write(r.encode()); werr != nil || err != nil {
		return 1
	}
	return 0
}

func restoreOnce(dir string, index int, uuid string, force bool, open Opener, log *slog.Logger) (string, error) {
	dev, err := open(index)
	if err != nil {
		return "", err
	}
	defer func() { _ = dev.Close() }()
	if got := dev.Info().UUID; got != uuid {
		return "", fmt.Errorf("%w: GPU %d is %s, not %s", ErrRefused, index, got, uuid)
	}
	l, err := acquire(dir, uuid, Holder{
		PID: os.Getppid(), User: userName(uint32(os.Geteuid())), Program: "jouletop gpu reset", Since: time.Now(),
	})
	if err != nil {
		return "", err
	}
	defer l.release()
	text, err := restore(dir, uuid, dev, log)
	if err != nil || text != "" || !force {
		return text, err
	}
	log.Info("reset asked for by the operator", "gpu", uuid)
	return resetAll(uuid, dev)
}

// resetAll gives every knob that the GPU has to the driver, whoever set it.
func resetAll(uuid string, dev gpu.Device) (string, error) {
	if err := dev.ResetSMClock(); err != nil {
		return "", fmt.Errorf("reset SM clock: %w", err)
	}
	text := fmt.Sprintf("GPU %s: SM clock given back to the driver", uuid)
	for _, k := range gpu.KnobsOf(dev) {
		if k.ID == gpu.KnobSM || k.Unavailable != "" {
			continue
		}
		before, _ := gpu.KnobState(dev, k.ID) // of a clock nobody knows it
		switch err := gpu.ResetKnob(dev, k.ID); {
		case errors.Is(err, gpu.ErrNotSupported):
			continue
		case err != nil:
			return text, fmt.Errorf("reset %s: %w", k.ID.Title(), err)
		case k.ID.Resets():
			text += fmt.Sprintf(", %s too", k.ID.Title())
		default:
			if after, err := gpu.KnobState(dev, k.ID); err == nil && after != before {
				text += fmt.Sprintf(", %s from %s to the default, %s", k.ID.Title(), k.ID.Text(before), k.ID.Text(after))
			}
		}
	}
	return text, nil
}

// heldFrom reads a HeldError that another process told.
func heldFrom(text string) error {
	h := new(HeldError)
	if json.Unmarshal([]byte(text), h) != nil {
		return &remoteError{text, ErrHeld}
	}
	return h
}
