package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// A management controller answers in tens of ms and renews its reading about once a
// second.
const (
	dcmiEvery = time.Second
	dcmiLimit = 5 * time.Second
)

// findDCMI asks the management controller, through ipmitool, for the power of the whole
// server: the GPUs are in it.
func findDCMI(o Options) ([]Source, []Problem) {
	devices, _ := filepath.Glob(filepath.Join("/", o.Root, "dev/ipmi*"))
	if len(devices) == 0 {
		return nil, []Problem{{DCMI, ErrNone.Error() + ": no /dev/ipmi* (no management controller, or `modprobe ipmi_si ipmi_devintf` is needed)", ""}}
	}
	tool := o.IPMITool
	if tool == "" {
		var err error
		if tool, err = exec.LookPath("ipmitool"); err != nil {
			return nil, []Problem{{DCMI, "there is a management controller, and no ipmitool to ask it", "install ipmitool"}}
		}
	}
	if f, err := os.OpenFile(devices[0], os.O_RDWR, 0); errors.Is(err, os.ErrPermission) {
		return nil, []Problem{{DCMI, devices[0] + " is root's alone", "run as root, or give a group of yours the device by a udev rule"}}
	} else if err == nil {
		_ = f.Close()
	}
	first, err := askDCMI(tool)
	if err != nil {
		return nil, []Problem{{DCMI, err.Error(), ""}}
	}
	return []Source{{
		ID: string(DCMI), Kind: DCMI, Domain: "server", PeriodMS: first.periodMS, StepW: 1, every: dcmiEvery,
		read: func() (float64, error) {
			r, err := askDCMI(tool)
			return r.watts, err
		},
	}}, nil
}

// dcmiReading is what a controller says.
type dcmiReading struct{ watts, periodMS float64 }

func askDCMI(tool string) (dcmiReading, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dcmiLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "dcmi", "power", "reading")
	cmd.WaitDelay = time.Second
	out := &limitedBuffer{limit: 4096}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		return dcmiReading{}, fmt.Errorf("ipmitool dcmi power reading: %w", err)
	}
	return parseDCMI(out.Bytes())
}

// limitedBuffer keeps the beginning of what is written.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if left := b.limit - b.Len(); left > 0 {
		b.Buffer.Write(p[:min(len(p), left)])
	}
	return len(p), nil
}

var (
	dcmiWatts  = regexp.MustCompile(`(?m)^\s*Instantaneous power reading:\s+(\d{1,6}) Watts\s*$`)
	dcmiPeriod = regexp.MustCompile(`(?m)^\s*Sampling period:\s+0*(\d{1,7}) (Seconds|Milliseconds)\.?\s*$`)
	dcmiActive = regexp.MustCompile(`(?m)^\s*Power reading state is:\s+activated\s*$`)
)

// parseDCMI reads what ipmitool prints. A controller that measures nothing says 0 W, or
// that it is not activated.
func parseDCMI(text []byte) (dcmiReading, error) {
	m := dcmiWatts.FindSubmatch(text)
	if m == nil {
		return dcmiReading{}, errors.New("ipmitool dcmi power reading tells no power")
	}
	w, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || w <= 0 || w > mostServerW || !dcmiActive.Match(text) {
		return dcmiReading{}, fmt.Errorf("the management controller measures no power (it says %s W)", m[1])
	}
	r := dcmiReading{watts: w}
	if p := dcmiPeriod.FindSubmatch(text); p != nil {
		r.periodMS, _ = strconv.ParseFloat(string(p[1]), 64) // digits
		if string(p[2]) == "Seconds" {
			r.periodMS *= 1000
		}
	}
	return r, nil
}
