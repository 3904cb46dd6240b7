package serverword

import (
	"encoding/json"
	"fmt"
)

// Slots is what llama-server says of its slots.
type Slots struct{ All, Busy int }

// maxSlots bounds a list of slots, in bytes and in number.
const (
	maxSlotBytes = 4 << 20
	maxSlots     = 1 << 12
)

// ParseSlots reads the answer to GET /slots. The error wraps ErrMalformed.
func ParseSlots(text []byte) (Slots, error) {
	var list []struct {
		ID   *int  `json:"id"`
		Busy *bool `json:"is_processing"`
	}
	if len(text) > maxSlotBytes {
		return Slots{}, fmt.Errorf("%w: slots of more than %d bytes", ErrMalformed, maxSlotBytes)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return Slots{}, fmt.Errorf("%w: slots: %w", ErrMalformed, err)
	}
	if len(list) == 0 || len(list) > maxSlots {
		return Slots{}, fmt.Errorf("%w: %d slots", ErrMalformed, len(list))
	}
	s := Slots{All: len(list)}
	seen := map[int]bool{}
	for _, l := range list {
		if l.ID == nil || l.Busy == nil || seen[*l.ID] {
			return Slots{}, fmt.Errorf("%w: a slot without id or is_processing, or twice", ErrMalformed)
		}
		seen[*l.ID] = true
		if *l.Busy {
			s.Busy++
		}
	}
	return s, nil
}
