//go:build cgo

package nvml

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// everything uses all there is of the package on GPU 0, and says what did not work.
// It returns an error only where there is no GPU to be had.
func everything() (told []string, err error) {
	note := func(what string, err error) {
		if err != nil {
			told = append(told, what+": "+err.Error())
		}
	}
	if _, err := Count(); err != nil {
		return nil, err
	}
	d, err := Open(0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	_, err = List()
	note("list", err)
	_, err = Find(d.Info().UUID)
	note("find", err)
	told = append(told, d.Info().Hidden...)
	_, err = d.Poll()
	note("poll", err)
	for _, s := range []string{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceCounter} {
		_, err = d.ReadPower(s)
		note(s, err)
	}
	_, err = d.ReadPowerBuffer(0)
	note(gpu.SourceBuffer, err)
	_, err = d.Processes()
	note("processes", err)
	_, err = d.LimitTimes()
	note("limit times", err)
	for _, k := range d.Knobs() {
		if k.Unavailable == "" {
			note("set "+k.ID.String(), d.Set(k.ID, k.Min))
		}
		note("reset "+k.ID.String(), d.Reset(k.ID))
	}
	note("set", d.SetSMClock(1005))
	note("reset", d.ResetSMClock())
	p, err := d.StartPolling(time.Millisecond, []gpu.DueSource{{Name: gpu.SourceAverage, Every: 1}, {Name: gpu.SourceInstant, Every: 1}})
	if err != nil {
		return nil, err
	}
	var polls []gpu.Poll
	for len(polls) < 3 {
		polls = p.Read(polls)
	}
	p.Stop()
	for _, q := range polls {
		note("polled", q.Err)
	}
	return told, nil
}

const everythingMode = "nvml-test-everything"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == everythingMode {
		told, err := everything()
		if err != nil {
			fmt.Println("none:", err)
			os.Exit(1)
		}
		fmt.Println("told:", strings.Join(told, "; "))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A library that lacks a function, whichever: its place is "not supported", and the
// rest works. Each is a process of its own, since the linker would end it.
func TestEveryFunctionMayBeMissing(t *testing.T) {
	lib, err := fakenvml.Build()
	if err != nil {
		t.Skip(err)
	}
	functions, err := fakenvml.Functions(lib)
	if err != nil || len(functions) < 40 {
		t.Fatal(functions, err)
	}
	st, err := fakenvml.Create(filepath.Join(t.TempDir(), "gpu"), fakenvml.H100().With(fakenvml.Permission, fakenvml.Anybody))
	if err != nil {
		t.Fatal(err)
	}
	// Each pair of an old and a new name together as well, and all at once.
	cases := [][]string{
		{"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"},
		{"nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit"},
		{"nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"},
		{"nvmlDeviceGetCount", "nvmlDeviceGetCount_v2"}, {"nvmlInit", "nvmlInit_v2"},
		{"nvmlDeviceGetHandleByIndex", "nvmlDeviceGetHandleByIndex_v2"},
		slices.DeleteFunc(slices.Clone(functions), func(f string) bool {
			return slices.Contains([]string{"nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"}, f)
		}),
	}
	for _, f := range functions {
		cases = append(cases, []string{f})
	}
	dir := t.TempDir()
	var work sync.WaitGroup
	places := make(chan struct{}, 4)
	for i, missing := range cases {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			name := strings.Join(missing, "+")
			path := filepath.Join(dir, fmt.Sprintf("lib%d.so", i))
			if err := fakenvml.Without(lib, path, missing...); err != nil {
				t.Error(err)
				return
			}
			cmd := exec.Command(os.Args[0], everythingMode)
			cmd.Env = append(os.Environ(), st.Env(path)...)
			out, err := cmd.CombinedOutput()
			text := string(out)
			var exit *exec.ExitError
			switch {
			case err == nil && strings.HasPrefix(text, "told: "):
			case errors.As(err, &exit) && exit.ExitCode() == 1 && strings.HasPrefix(text, "none: no NVIDIA GPU") && strings.Contains(text, "lacks "+missing[len(missing)-1]):
				if vital := "nvmlDeviceGetUUID"; len(missing) == 1 && missing[0] != vital {
					t.Errorf("without %s: %s", name, text)
				}
			default:
				t.Errorf("without %s: %v\n%s", name, err, text)
			}
			if strings.Contains(text, "polled: ") || strings.Contains(text, "poll: ") {
				t.Errorf("without %s polling fails: %s", name, text)
			}
		})
	}
	work.Wait()
}
