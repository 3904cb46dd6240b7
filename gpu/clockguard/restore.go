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
	dev, err := openAs(open, index, uuid)
	if err != nil {
		return "", err
	}
	return restoreOn(dev, dir, uuid, force, log)
}

// openAs opens the GPU of an index, which must be the one of that UUID.
func openAs(open Opener, index int, uuid string) (gpu.Device, error) {
	dev, err := open(index)
	if err != nil {
		return nil, err
	}
	if got := dev.Info().UUID; got != uuid {
		_ = dev.Close()
		return nil, fmt.Errorf("%w: GPU %d is %s, not %s", ErrRefused, index, got, uuid)
	}
	return dev, nil
}

// find opens the GPU of a UUID wherever it is: a record may be damaged, or GPUs may have
// come to other indices since it was written.
func find(open Opener, index int, uuid string) (gpu.Device, error) {
	dev, first := openAs(open, index, uuid)
	for i := 0; first != nil && i < mostGPUs; i++ {
		dev, err := openAs(open, i, uuid)
		switch {
		case err == nil:
			return dev, nil
		case errors.Is(err, gpu.ErrNoGPU):
			return nil, first
		}
	}
	return dev, first
}

// mostGPUs is more than a host has.
const mostGPUs = 64

// restoreOn gives back what an earlier run left on a GPU, and closes it.
func restoreOn(dev gpu.Device, dir, uuid string, force bool, log *slog.Logger) (string, error) {
	defer func() { _ = dev.Close() }()
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

// resetAll gives every knob that the GPU has to the driver, whoever set it, whatever becomes
// of another. The text says what was given back.
func resetAll(uuid string, dev gpu.Device) (string, error) {
	var done []string
	var errs []error
	for _, k := range gpu.KnobsOf(dev) {
		if k.ID != gpu.KnobSM && k.Unavailable != "" {
			continue
		}
		before, unread := gpu.KnobState(dev, k.ID) // of a clock nobody knows it
		switch err := gpu.ResetKnob(dev, k.ID); {
		case errors.Is(err, gpu.ErrNotSupported):
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("reset %s: %w", k.ID.Title(), err))
		case k.ID == gpu.KnobSM:
			done = append(done, "SM clock given back to the driver")
		case k.ID.Resets():
			done = append(done, k.ID.Title()+" too")
		default:
			switch after, err := gpu.KnobState(dev, k.ID); {
			case err != nil && unread != nil:
				done = append(done, k.ID.Title()+" given back to the driver, which does not tell what it is now")
			case err != nil:
				done = append(done, fmt.Sprintf("%s from %s to the default, which the driver does not tell", k.ID.Title(), k.ID.Text(before)))
			case unread != nil:
				done = append(done, fmt.Sprintf("%s to the default, %s", k.ID.Title(), k.ID.Text(after)))
			case after != before:
				done = append(done, fmt.Sprintf("%s from %s to the default, %s", k.ID.Title(), k.ID.Text(before), k.ID.Text(after)))
			}
		}
	}
	text := strings.Join(done, ", ")
	switch err := errors.Join(errs...); {
	case err != nil && text != "":
		return "", fmt.Errorf("GPU %s: %s; %w", uuid, text, err)
	case err != nil:
		return "", err
	case text == "":
		return "", fmt.Errorf("%w: GPU %s has no clock that can be locked, and nothing else was set", gpu.ErrNotSupported, uuid)
	}
	return fmt.Sprintf("GPU %s: %s", uuid, text), nil
}

// heldFrom reads a HeldError that another process told.
func heldFrom(text string) error {
	h := new(HeldError)
	if json.Unmarshal([]byte(text), h) != nil {
		return &remoteError{text, ErrHeld}
	}
	return h
}
