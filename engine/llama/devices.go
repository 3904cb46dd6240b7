package llama

import (
	"fmt"
	"strings"

	"jouletop/engine"
	"jouletop/gpu"
)

// pickDevices returns what to load onto, as indices into all and as names. A GPU
// of spec.Devices is measured, so it must be the very one that computes: they are
// matched by PCI id, and only where a machine has but one is that not needed.
// loaded tells whether there is a backend for GPUs.
func pickDevices(all []Device, spec engine.ModelSpec, loaded bool) ([]int, []string, error) {
	var gpus []int
	for i, d := range all {
		if d.GPU {
			gpus = append(gpus, i)
		}
	}
	switch {
	case spec.GPULayers == 0:
		return nil, []string{"CPU"}, nil
	case len(gpus) > 0:
	case spec.GPULayers > 0 && !loaded:
		return nil, nil, fmt.Errorf("%d layers on a GPU are asked for, but the engine has loaded no backend for one (--backend-dir)", spec.GPULayers)
	case spec.GPULayers > 0 || loaded && len(spec.Devices) > 0:
		return nil, nil, fmt.Errorf("the engine's backend sees no GPU: look at %s and the driver, or let the CPU compute with --gpu-layers 0", gpu.EnvVisible)
	default:
		return nil, []string{"CPU"}, nil
	}
	if len(spec.Devices) == 0 {
		return gpus[:1], []string{all[gpus[0]].Name}, nil
	}
	var devices []int
	var names []string
	for _, card := range spec.Devices {
		d, err := findCard(all, gpus, card)
		if err != nil {
			return nil, nil, err
		}
		devices = append(devices, d)
		names = append(names, all[d].Name)
	}
	return devices, names, nil
}

// findCard returns which of gpus, indices into all, is card.
func findCard(all []Device, gpus []int, card gpu.Card) (int, error) {
	var others []string
	unknown := card.PCI == ""
	for _, i := range gpus {
		id := gpu.PCI(all[i].ID)
		if id != "" && id == card.PCI {
			return i, nil
		}
		unknown = unknown || id == ""
		others = append(others, fmt.Sprintf("%s (%s)", all[i].Name, orUnknown(id)))
	}
	if unknown && card.Only && len(gpus) == 1 {
		return gpus[0], nil
	}
	seen := strings.Join(others, ", ")
	if unknown {
		return 0, fmt.Errorf("GPU %d (PCI %s): it cannot be told which of the engine's it is: %s", card.Index, orUnknown(card.PCI), seen)
	}
	return 0, fmt.Errorf("GPU %d (PCI %s) is not among those that the engine sees: %s; look at %s", card.Index, card.PCI, seen, gpu.EnvVisible)
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}
