package llama

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Cores returns how many cores this process may use: those of its affinity
// mask, less where a control group allows less time.
func Cores() int {
	n := runtime.NumCPU()
	if quota, ok := cgroupCores(cgroupDir()); ok {
		n = min(n, quota)
	}
	return max(1, n)
}

// cgroupDir returns the folder of this process's control group (version 2), ""
// if there is none.
func cgroupDir() string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join("/sys/fs/cgroup", path)
		}
	}
	return ""
}

// cgroupFiles yields a control file of the group and of those above it.
func cgroupFiles(dir, name string, use func(content string)) {
	for strings.HasPrefix(dir, "/sys/fs/cgroup") {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			use(strings.TrimSpace(string(data)))
		}
		dir = filepath.Dir(dir)
	}
}

// cgroupCores returns the whole cores that the tightest cpu.max allows.
func cgroupCores(dir string) (int, bool) {
	cores, ok := 0, false
	cgroupFiles(dir, "cpu.max", func(content string) {
		if n, found := parseCPUMax(content); found && (!ok || n < cores) {
			cores, ok = n, true
		}
	})
	return cores, ok
}

// parseCPUMax reads "QUOTA PERIOD" or "max PERIOD", in µs.
func parseCPUMax(content string) (cores int, ok bool) {
	var quota, period int
	if _, err := fmt.Sscan(content, &quota, &period); err != nil || quota <= 0 || period <= 0 {
		return 0, false
	}
	return max(1, (quota+period-1)/period), true
}

// availableMemory returns the bytes that can still be taken without swapping,
// by the kernel and by the control group.
func availableMemory() (uint64, bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	free, ok := uint64(0), false
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if rest, found := strings.CutPrefix(sc.Text(), "MemAvailable:"); found {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			free, ok = kib<<10, err == nil
		}
	}
	dir := cgroupDir()
	cgroupFiles(dir, "memory.max", func(content string) {
		if most, err := strconv.ParseUint(content, 10, 64); err == nil {
			free = min(free, most)
		}
	})
	return free, ok
}
