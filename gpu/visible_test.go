package gpu

import (
	"slices"
	"strings"
	"testing"
)

func TestPCI(t *testing.T) {
	for in, want := range map[string]string{
		"0000:01:00.0": "0000:01:00.0", "00000000:C1:00.0": "0000:c1:00.0", "10000:01:00.0": "10000:01:00.0",
		"00010000:01:00.0": "10000:01:00.0", "0000:00:00.0": "", "": "", "level_zero:0": "", "1:0:0": "",
	} {
		if got := PCI(in); got != want {
			t.Errorf("PCI(%q) = %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct {
		domain, bus, device uint32
		want                string
	}{
		{0, 1, 0, "0000:01:00.0"}, {1, 0, 0, "0001:00:00.0"}, {0x10000, 0xc1, 0x1f, "10000:c1:1f.0"},
		{0, 0, 0, ""}, {0, 256, 0, ""}, {0, 1, 32, ""}, {0xffffffff, 0xffffffff, 0xffffffff, ""},
	} {
		if got := PCIID(tt.domain, tt.bus, tt.device); got != tt.want {
			t.Errorf("PCIID(%#x, %#x, %#x) = %q, want %q", tt.domain, tt.bus, tt.device, got, tt.want)
		}
	}
}

func TestCheckVisible(t *testing.T) {
	unlike := []Info{{Index: 0, Name: "A", UUID: "GPU-aa11"}, {Index: 1, Name: "B", UUID: "GPU-aa22"}, {Index: 2, Name: "B", UUID: "GPU-bb33"}}
	same := slices.Clone(unlike)
	for i := range same {
		same[i].Name = "A"
	}
	unnamed := slices.Clone(same)
	unnamed[1].Name = ""
	const unset = "unset"
	tests := []struct {
		name           string
		cards          []Info
		visible, order string
		want           int
		refusal        string // "" none
	}{
		{"nothing set", unlike, unset, unset, 2, ""},
		{"the first, shown", unlike, "0", unset, 0, ""},
		{"the first, hidden", unlike, "1", unset, 0, `GPU 0 for the engine: CUDA_VISIBLE_DEVICES="1" hides it: use --device 1, or unset it`},
		{"several", unlike, "2, 0", unset, 1, "use --device 2,0,"},
		{"a UUID", unlike, "GPU-bb33", unset, 2, ""},
		{"a UUID's beginning", unlike, "GPU-BB", unset, 0, "use --device 2,"},
		{"a beginning of two", unlike, "GPU-aa", unset, 0, "unset it"},
		{"an index of none ends the list", unlike, "0,7,1", unset, 1, "use --device 0,"},
		{"-1 ends the list", unlike, "0,-1,1", unset, 1, "use --device 0,"},
		{"a number with more behind it", unlike, "1x", unset, 0, "use --device 1,"},
		{"empty: none", unlike, "", unset, 0, `CUDA_VISIBLE_DEVICES="" hides it: unset it`},
		{"NoDevFiles: none", unlike, "NoDevFiles", unset, 0, "unset it"},
		{"twice: none", unlike, "1,1", unset, 1, "unset it"},
		{"an instance of a GPU", unlike, "MIG-GPU-aa22/1/0", unset, 1, ""},
		{"an instance of another", unlike, "MIG-GPU-aa22/1/0", unset, 0, "use --device 1,"},
		{"an instance of who knows which", unlike, "MIG-1234", unset, 0, ""},
		{"order of the bus", unlike, "1", OrderPCI, 0, "use --device 1,"},
		{"fastest first: who knows which", unlike, "1", "FASTEST_FIRST", 0, ""},
		{"fastest first, by UUID", unlike, "GPU-aa22", "FASTEST_FIRST", 0, "use --device 1,"},
		{"fastest first of equals", same, "1", "FASTEST_FIRST", 0, "use --device 1,"},
		{"fastest first of one unnamed", unnamed, "1", "FASTEST_FIRST", 0, ""},
		{"fastest first, empty: none", unlike, "", "FASTEST_FIRST", 0, "unset it"},
		{"one GPU", unlike[:1], "0", "FASTEST_FIRST", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			getenv := func(name string) (string, bool) {
				v := map[string]string{EnvVisible: tt.visible, EnvOrder: tt.order}[name]
				return strings.TrimPrefix(v, unset), v != unset
			}
			err := CheckVisible(tt.cards, []int{tt.want}, getenv)
			switch {
			case tt.refusal == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)):
				t.Errorf("got %v, want %q", err, tt.refusal)
			}
		})
	}
}
