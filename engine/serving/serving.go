// Package serving decides what each pass of a language model has in it, where
// requests come and go by themselves (continuous batching: Yu et al., Orca, OSDI
// 2022; with prefills in chunks: Agrawal et al., Sarathi-Serve, OSDI 2024).
//
// A [Scheduler] knows requests by number and counts tokens; it knows no clock, no
// text and no model. Whoever drives a model adds what has arrived, evaluates the
// [Pass] that Next gives, and says with Done what came of it.
//
// Requests are taken into slots in the order in which they were added, and their
// prompts are read in that order; none overtakes another, so none starves.
package serving

import (
	"errors"
	"fmt"
	"slices"
)

// Schedule says what may be in one pass.
type Schedule string

// The schedules.
const (
	// Mixed: a token of each sequence that decodes, and beside them up to a chunk of
	// prompts.
	Mixed Schedule = "mixed"
	// PrefillFirst: prompts alone, up to a chunk, as long as there are any; else a
	// token of each sequence.
	PrefillFirst Schedule = "prefill-first"
	// Static: as many requests as there are slots begin together, their prompts are
	// read whole in one pass, and the next begin once the last of them has ended.
	Static Schedule = "static"
)

// ParseSchedule reads what --schedule takes.
func ParseSchedule(s string) (Schedule, error) {
	switch k := Schedule(s); k {
	case Mixed, PrefillFirst, Static:
		return k, nil
	}
	return "", fmt.Errorf("%q: want %s, %s or %s", s, Mixed, PrefillFirst, Static)
}

// Config of a Scheduler.
type Config struct {
	Slots    int // sequences at once, 1 or more
	Chunk    int // most tokens of prompts in a pass, over all of them; 1 or more. Static takes no notice
	Schedule Schedule
	// KVTokens is how many tokens fit the KV cache, over all slots; 0 any number. A
	// request is taken in once there is room for its prompt and all that it may
	// generate.
	KVTokens int
}

// Errors of New and Add.
var (
	ErrConfig  = errors.New("no such schedule")
	ErrTooLong = errors.New("request does not fit the KV cache")
)

// Member is the part of one request in a pass.
type Member struct {
	ID   int // as it was added
	Slot int // 0 to Slots-1, the same for as long as the request is under way
	// Known tokens are in its KV cache before the pass.
	Known int
	// Fresh tokens are evaluated: of its prompt, or the one that came last.
	Fresh int
	// Prefill tells whether they are of its prompt.
	Prefill bool
	// Samples tells whether a token comes out: of a decode, or of a prompt's end.
	Samples bool
}

// Pass is one iteration: one evaluation of the model over all its members.
type Pass struct{ Members []Member }

// PrefillTokens are the tokens of prompts in it.
func (p Pass) PrefillTokens() int {
	n := 0
	for _, m := range p.Members {
		if m.Prefill {
			n += m.Fresh
		}
	}
	return n
}

// Prefills is how many requests have a part of their prompt in it, Decodes how many
// a token to go on from.
func (p Pass) Prefills() int { return len(p.Members) - p.Decodes() }

// Decodes is described with Prefills.
func (p Pass) Decodes() int {
	n := 0
	for _, m := range p.Members {
		if !m.Prefill {
			n++
		}
	}
	return n
}

// KVTokens is how many tokens of the KV cache are read: those known of each member.
func (p Pass) KVTokens() int {
	n := 0
	for _, m := range p.Members {
		n += m.Known
	}
	return n
}

// request is one that has not ended.
type request struct {
	id, prompt, most int
	slot             int
	read             int // tokens of the prompt
	generated        int
}

func (r *request) decodes() bool { return r.read == r.prompt }

// Scheduler is used by one goroutine.
type Scheduler struct {
	cfg    Config
	queue  []*request
	active []*request // in the order in which they were taken in
	free   []bool     // slots
	kv     int        // tokens reserved
}

// New returns a scheduler without requests. Errors wrap ErrConfig.
func New(cfg Config) (*Scheduler, error) {
	if _, err := ParseSchedule(string(cfg.Schedule)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Slots < 1 || cfg.Chunk < 1 || cfg.KVTokens < 0 {
		return nil, fmt.Errorf("%w: %d slots, chunks of %d tokens, %d tokens of KV cache", ErrConfig, cfg.Slots, cfg.Chunk, cfg.KVTokens)
	}
	return &Scheduler{cfg: cfg, free: slices.Repeat([]bool{true}, cfg.Slots)}, nil
}

// Add puts a request in line: the tokens of its prompt, 1 or more, and the most to
// generate, 1 or more. The error wraps ErrTooLong where it will never fit.
func (s *Scheduler) Add(id, prompt, most int) error {
	if prompt < 1 || most < 1 {
		return fmt.Errorf("request %d: a prompt of %d tokens, %d to generate: want 1 or more of each", id, prompt, most)
	}
	if s.cfg.KVTokens > 0 && prompt+most > s.cfg.KVTokens {
		return fmt.Errorf("%w: %d tokens of %d", ErrTooLong, prompt+most, s.cfg.KVTokens)
	}
	s.queue = append(s.queue, &request{id: id, prompt: prompt, most: most})
	return nil
}

// Resume puts a request under way at once, of whose prompt so many tokens are read and
// for which so many are generated: fewer than prompt, or all, and fewer than most.
// Errors wrap ErrConfig where there is no slot, or no such state.
func (s *Scheduler) Resume(id, prompt, read, generated, most int) error {
	slot := slices.Index(s.free, true)
	if slot < 0 || read < 0 || read > prompt || generated < 0 || generated >= most || generated > 0 && read < prompt || generated == 0 && read == prompt {
		return fmt.Errorf("%w: request %d, %d of %d tokens read, %d of %d generated", ErrConfig, id, read, prompt, generated, most)
	}
	s.free[slot] = false
	s.kv += prompt + most
	s.active = append(s.active, &request{id: id, prompt: prompt, most: most, slot: slot, read: read, generated: generated})
	return nil
}

// Queued is how many requests wait for a slot.
func (s *Scheduler) Queued() int { return len(s.queue) }

// Active is how many have one.
func (s *Scheduler) Active() int { return len(s.active) }

// DropQueued forgets the requests that wait for a slot and returns them.
func (s *Scheduler) DropQueued() []int {
	ids := make([]int, len(s.queue))
	for i, r := range s.queue {
		ids[i] = r.id
	}
	s.queue = nil
	return ids
}

// admit takes requests into slots for as long as there is room.
func (s *Scheduler) admit() {
	if s.cfg.Schedule == Static && len(s.active) > 0 {
		return
	}
	for len(s.queue) > 0 && len(s.active) < s.cfg.Slots {
		r := s.queue[0]
		if s.cfg.KVTokens > 0 && s.kv+r.prompt+r.most > s.cfg.KVTokens {
			return
		}
		r.slot = slices.Index(s.free, true)
		s.free[r.slot] = false
		s.kv += r.prompt + r.most
		s.active, s.queue = append(s.active, r), s.queue[1:]
	}
}

// Next returns the next pass; false where there is nothing to do. Nothing changes
// but that requests are taken into slots: it returns the same until Done.
func (s *Scheduler) Next() (Pass, bool) { return s.NextInto(nil) }

// NextInto is Next with the pass's members in a slice that may be overwritten.
func (s *Scheduler) NextInto(members []Member) (Pass, bool) {
	s.admit()
	chunk := s.cfg.Chunk
	reads := false
	if s.cfg.Schedule == Static {
		chunk = 0
	}
	for _, r := range s.active {
		reads = reads || !r.decodes()
		if s.cfg.Schedule == Static {
			chunk += r.prompt
		}
	}
	members = members[:0]
	for _, r := range s.active {
		if r.decodes() && (s.cfg.Schedule == Mixed || !reads) {
			members = append(members, Member{ID: r.id, Slot: r.slot, Known: r.prompt + r.generated - 1, Fresh: 1, Samples: true})
		}
	}
	for _, r := range s.active {
		if n := min(chunk, r.prompt-r.read); n > 0 {
			chunk -= n
			members = append(members, Member{ID: r.id, Slot: r.slot, Known: r.read, Fresh: n, Prefill: true, Samples: r.read+n == r.prompt})
		}
	}
	return Pass{members}, len(members) > 0
}

// Done says that the pass was evaluated, and which of its requests ended with the
// token that came out of it by themselves. It returns all that ended, those that have
// generated all they may among them, in the order in which they were taken in.
func (s *Scheduler) Done(p Pass, ended ...int) []int {
	// Members are in the order of those active, decodes before prompts.
	first := p.Decodes()
	decodes, prompts := p.Members[:first], p.Members[first:]
	var gone []int
	for _, r := range s.active {
		from := &decodes
		if !r.decodes() {
			from = &prompts
		}
		at := slices.IndexFunc(*from, func(m Member) bool { return m.ID == r.id })
		if at < 0 {
			continue
		}
		m := (*from)[at]
		*from = (*from)[at+1:]
		if m.Prefill {
			r.read += m.Fresh
		}
		if m.Samples {
			r.generated++
			if r.generated == r.most || slices.Contains(ended, r.id) {
				gone = append(gone, r.id)
			}
		}
	}
	for _, id := range gone {
		s.Drop(id)
	}
	return gone
}

// Alike is how many passes in a row have the members that p has, which Next gave, where
// none is added or ends by itself: 1 where prompts are read in it.
func (s *Scheduler) Alike(p Pass) int {
	n := 1
	if p.PrefillTokens() > 0 || len(s.queue) > 0 && len(s.active) < s.cfg.Slots {
		return n
	}
	for i, r := range s.active {
		if left := r.most - r.generated; i == 0 || left < n {
			n = left
		}
	}
	return n
}

// DoneTimes says that n passes like p were evaluated, 1 to Alike(p), one after another; it
// returns the requests that ended.
func (s *Scheduler) DoneTimes(p Pass, n int) []int {
	for _, r := range s.active {
		if n > 1 {
			r.generated += n - 1
		}
	}
	return s.Done(p)
}

// Drop ends a request at once, wherever it is; false where there is none.
func (s *Scheduler) Drop(id int) bool {
	is := func(r *request) bool { return r.id == id }
	if at := slices.IndexFunc(s.active, is); at >= 0 {
		r := s.active[at]
		s.free[r.slot] = true
		s.kv -= r.prompt + r.most
		s.active = slices.Delete(s.active, at, at+1)
		return true
	}
	if at := slices.IndexFunc(s.queue, is); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
		return true
	}
	return false
}
