package gpu

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Card names a GPU to whoever is to compute on it, in a library with an order of
// its own.
type Card struct {
	Index int    `json:"index"`         // NVML's
	PCI   string `json:"pci,omitempty"` // see Info.PCI; "" unknown
	Only  bool   `json:"only"`          // the machine has no other
}

var pciForm = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// PCI returns a PCI id in the form of Info.PCI; "" for what is none.
func PCI(id string) string {
	id = strings.ToLower(id)
	if !pciForm.MatchString(id) || strings.Trim(id, "0:.") == "" {
		return ""
	}
	domain, rest, _ := strings.Cut(id, ":")
	for len(domain) > 4 && domain[0] == '0' {
		domain = domain[1:]
	}
	return domain + ":" + rest
}

// PCIID makes a PCI id of its numbers; "" for what cannot be, and for a GPU on no
// bus, which has zeros.
func PCIID(domain, bus, device uint32) string {
	if bus > 0xff || device > 0x1f {
		return ""
	}
	return PCI(fmt.Sprintf("%04x:%02x:%02x.0", domain, bus, device))
}

// CUDA's settings of which GPUs a program sees, and how they are counted (CUDA C++
// Programming Guide, "CUDA Environment Variables").
const (
	EnvVisible = "CUDA_VISIBLE_DEVICES"
	EnvOrder   = "CUDA_DEVICE_ORDER"
	// OrderPCI is the order in which NVML counts too.
	OrderPCI = "PCI_BUS_ID"
)

// Visible returns which of the machine's GPUs a CUDA program sees, as positions in
// cards (all GPUs, in NVML's order), in CUDA's order. getenv is os.LookupEnv; where
// no order is set it is taken to be OrderPCI, which the engine sets. known is false
// where the settings do not tell.
func Visible(cards []Info, getenv func(string) (string, bool)) (visible []int, known bool) {
	order, set := getenv(EnvOrder)
	inOrder := !set || order == "" || order == OrderPCI || alike(cards)
	value, set := getenv(EnvVisible)
	if !set {
		for i := range cards {
			visible = append(visible, i)
		}
		return visible, inOrder
	}
	// What follows a name that is none is not seen.
	for _, name := range strings.Split(value, ",") {
		name = strings.TrimSpace(name)
		i := -1
		if n, err := strconv.Atoi(leadingNumber.FindString(name)); err == nil {
			if !inOrder && n >= 0 && n < len(cards) {
				return nil, false
			}
			i = n
		} else {
			if name, inside := strings.CutPrefix(name, "MIG-"); inside {
				// "MIG-GPU-UUID/gi/ci" names its GPU, "MIG-UUID" does not.
				if name, _, inside = strings.Cut(name, "/"); !inside {
					return nil, false
				}
				i = byUUID(cards, name)
			} else {
				i = byUUID(cards, name)
			}
		}
		if i < 0 || i >= len(cards) {
			break
		}
		if slices.Contains(visible, i) {
			return nil, true // named twice: CUDA shows none
		}
		visible = append(visible, i)
	}
	return visible, true
}

// leadingNumber is what CUDA reads of an index: "1x" is 1.
var leadingNumber = regexp.MustCompile(`^-?[0-9]+`)

// byUUID finds the GPU whose UUID begins with head, -1 where it is not one.
func byUUID(cards []Info, head string) int {
	found := -1
	for i, c := range cards {
		if !strings.HasPrefix(head, "GPU-") || !strings.HasPrefix(strings.ToLower(c.UUID), strings.ToLower(head)) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

// alike tells whether no order by speed differs from that of the bus.
func alike(cards []Info) bool {
	for _, c := range cards {
		if c.Name == "" || c.Name != cards[0].Name {
			return len(cards) == 1
		}
	}
	return true
}

// CheckVisible tells, in one line, that the program's settings of CUDA hide one of
// the GPUs wanted, which then would be measured while another computes. cards are
// all GPUs, in NVML's order, wanted positions in it. What the settings leave open
// is nil.
func CheckVisible(cards []Info, wanted []int, getenv func(string) (string, bool)) error {
	visible, known := Visible(cards, getenv)
	if !known {
		return nil
	}
	for _, w := range wanted {
		if slices.Contains(visible, w) {
			continue
		}
		value, _ := getenv(EnvVisible)
		hint := "unset it"
		if len(visible) > 0 {
			var names []string
			for _, v := range visible {
				names = append(names, strconv.Itoa(v))
			}
			hint = "use --device " + strings.Join(names, ",") + ", or unset it"
		}
		return fmt.Errorf("%w %d for the engine: %s=%q hides it: %s", ErrNoGPU, w, EnvVisible, value, hint)
	}
	return nil
}
