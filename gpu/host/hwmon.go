package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"jouletop/gpu/plaintext"
)

// metersEvery is how often meters of power are read, at most.
const metersEvery = 250 * time.Millisecond

// processorMeters are drivers whose meters tell of processors and memory again, or of a
// GPU: they are no other source than RAPL and the GPU's own.
var processorMeters = []string{"amd_energy", "amdgpu", "i915", "xe", "nouveau", "nvidia", "fam15h_power"}

// findHWMon lists the power meters (power1_average or power1_input, µW).
func findHWMon(o Options) ([]Source, []Problem) {
	folders, _ := filepath.Glob(filepath.Join("/", o.Root, "sys/class/hwmon/hwmon*")) // the pattern is well formed
	var out []Source
	var problems []Problem
	used := map[string]int{}
	for _, dir := range folders {
		chip, err := word(filepath.Join(dir, "name"))
		if err != nil || slices.Contains(processorMeters, chip) {
			continue
		}
		files, _ := filepath.Glob(filepath.Join(dir, "power*_average"))
		inputs, _ := filepath.Glob(filepath.Join(dir, "power*_input"))
		number := used[chip]
		used[chip]++
		seen := map[string]bool{}
		for _, f := range append(files, inputs...) {
			meter, _, _ := strings.Cut(filepath.Base(f), "_")
			if seen[meter] {
				continue // its mean is read already
			}
			s := Source{ID: fmt.Sprintf("%s:%s-%d:%s", HWMon, chip, number, meter), Kind: HWMon, Domain: fmt.Sprintf("%s %s", chip, meter), every: metersEvery}
			if label, err := word(filepath.Join(dir, meter+"_label")); err == nil && label != "" {
				s.Domain = chip + " " + label
			}
			if ms, err := number64(filepath.Join(dir, meter+"_average_interval")); err == nil && ms > 0 && ms < 1e7 && strings.HasSuffix(f, "_average") {
				s.PeriodMS = ms
			}
			s.read = func() (float64, error) {
				uw, err := number64(f)
				return uw / 1e6, err
			}
			if _, err := s.read(); err != nil {
				p := Problem{HWMon, fmt.Sprintf("%s: %v", s.Domain, err), ""}
				if errors.Is(err, os.ErrPermission) {
					p.What, p.Remedy = s.Domain+" is root's alone", "run as root"
				}
				problems = append(problems, p)
				continue
			}
			seen[meter] = true
			out = append(out, s)
		}
	}
	if len(out)+len(problems) == 0 {
		problems = []Problem{{HWMon, ErrNone.Error() + " that tells power", ""}}
	}
	return out, problems
}

// word reads a file of one short line, made fit to show.
func word(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 128))
	if err != nil {
		return "", err
	}
	return plaintext.Line(strings.TrimSpace(string(b))), nil
}

// number64 reads a file that holds a whole number.
func number64(path string) (float64, error) {
	text, err := word(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s holds %q, no number", path, text)
	}
	return float64(n), nil
}
