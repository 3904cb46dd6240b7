package session

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/timebase"
)

// ThisHost describes the machine; what cannot be read stays empty.
func ThisHost() Host {
	h := Host{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), CPU: cpuName()}
	h.Name, _ = os.Hostname()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return h
}

func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// simulatedTime is the kind of a simulated time base.
const simulatedTime = "simulated"

// TimeBaseOf describes clk for the manifest.
func TimeBaseOf(clk timebase.Clock) TimeBase {
	if s, ok := clk.(*timebase.Sim); ok {
		return TimeBase{Kind: simulatedTime, SimSpeed: s.Speed()}
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return TimeBase{Kind: "monotonic", BootID: strings.TrimSpace(string(boot)), WallOffsetNS: time.Now().UnixNano() - clk.Now()}
}
