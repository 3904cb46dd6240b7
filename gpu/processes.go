package gpu

import (
	"fmt"
	"slices"

	"jouletop/gpu/plaintext"
)

// OtherProcesses lists the processes on the GPU that are not among own: their
// energy would be counted as ours. In a container a GPU names processes by
// their ids outside it, so that our own cannot be told from others by id there;
// ask before our own work has begun. Names are plain text.
func OtherProcesses(dev Device, own []int) ([]Process, error) {
	all, err := dev.Processes()
	if err != nil {
		return nil, fmt.Errorf("looking for other processes on GPU %s: %w", dev.Info().ID(), err)
	}
	others := slices.DeleteFunc(slices.Clone(all), func(p Process) bool { return slices.Contains(own, p.PID) })
	for i := range others {
		others[i].Name = plaintext.Line(others[i].Name) // its user chose it
	}
	return others, nil
}
