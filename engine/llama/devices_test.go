package llama

import (
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/gpu"
)

// The GPU that computes is the one that is measured, or none is.
func TestPickDevices(t *testing.T) {
	cpu := Device{Name: "CPU"}
	card := func(name, id string) Device { return Device{Name: name, ID: id, GPU: true} }
	ordered := []Device{cpu, card("CUDA0", "0000:01:00.0"), card("CUDA1", "0000:41:00.0")}
	fastestFirst := []Device{cpu, card("CUDA0", "0000:41:00.0"), card("CUDA1", "0000:01:00.0")}
	hidden := []Device{cpu, card("CUDA0", "0000:41:00.0")} // CUDA_VISIBLE_DEVICES=1
	first := gpu.Card{Index: 0, PCI: "0000:01:00.0"}
	second := gpu.Card{Index: 1, PCI: "0000:41:00.0"}
	tests := []struct {
		name    string
		all     []Device
		layers  int
		want    []gpu.Card
		loaded  bool
		devices []string // nil: refused
		refusal string
	}{
		{"first", ordered, -1, []gpu.Card{first}, true, []string{"CUDA0"}, ""},
		{"second", ordered, -1, []gpu.Card{second}, true, []string{"CUDA1"}, ""},
		{"none named", ordered, -1, nil, true, []string{"CUDA0"}, ""},
		{"both", ordered, -1, []gpu.Card{second, first}, true, []string{"CUDA1", "CUDA0"}, ""},
		{"another order", fastestFirst, -1, []gpu.Card{first}, true, []string{"CUDA1"}, ""},
		{"one hidden", hidden, -1, []gpu.Card{second}, true, []string{"CUDA0"}, ""},
		{"the wanted one hidden", hidden, -1, []gpu.Card{first}, true, nil, "not among those that the engine sees: CUDA0 (0000:41:00.0)"},
		{"one of two hidden", hidden, -1, []gpu.Card{second, first}, true, nil, "GPU 0 (PCI 0000:01:00.0) is not among"},
		{"capitals, a long domain", []Device{cpu, card("CUDA0", "0000:C1:00.0")}, -1, []gpu.Card{{PCI: gpu.PCI("00000000:C1:00.0")}}, true, []string{"CUDA0"}, ""},
		{"the only one, the engine tells no id", []Device{cpu, card("GPU0", "")}, -1, []gpu.Card{{PCI: "0000:01:00.0", Only: true}}, true, []string{"GPU0"}, ""},
		{"the only one, the driver tells no id", []Device{cpu, card("CUDA0", "0000:01:00.0")}, -1, []gpu.Card{{Only: true}}, true, []string{"CUDA0"}, ""},
		{"the only one is another", hidden, -1, []gpu.Card{{PCI: "0000:01:00.0", Only: true}}, true, nil, "not among"},
		{"one of several, no id", []Device{cpu, card("GPU0", "")}, -1, []gpu.Card{first}, true, nil, "cannot be told"},
		{"an id of another kind", []Device{cpu, card("SYCL0", "level_zero:0")}, -1, []gpu.Card{first}, true, nil, "cannot be told"},
		{"two in the engine, no id", []Device{cpu, card("GPU0", ""), card("GPU1", "")}, -1, []gpu.Card{{Only: true}}, true, nil, "cannot be told"},
		{"all hidden", []Device{cpu}, -1, []gpu.Card{first}, true, nil, "sees no GPU"},
		{"all hidden, layers", []Device{cpu}, 5, []gpu.Card{first}, true, nil, "sees no GPU"},
		{"no backend", []Device{cpu}, -1, []gpu.Card{first}, false, []string{"CPU"}, ""},
		{"no backend, layers", []Device{cpu}, 5, []gpu.Card{first}, false, nil, "--backend-dir"},
		{"on the CPU", hidden, 0, []gpu.Card{first}, true, []string{"CPU"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			devices, names, err := pickDevices(tt.all, engine.ModelSpec{GPULayers: tt.layers, Devices: tt.want}, tt.loaded)
			switch {
			case tt.devices == nil:
				if err == nil || !strings.Contains(err.Error(), tt.refusal) || strings.Contains(err.Error(), "\n") {
					t.Errorf("picks %v, %v; want the refusal %q in a line", names, err, tt.refusal)
				}
			case err != nil || !slices.Equal(names, tt.devices):
				t.Errorf("picks %v, %v; want %v", names, err, tt.devices)
			}
			for i, d := range devices {
				if tt.all[d].Name != names[i] {
					t.Errorf("device %d is %s, not %s", d, tt.all[d].Name, names[i])
				}
			}
		})
	}
}
