package tui

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// What is chosen is kept (see view.Context.Typed) under these names.
const (
	themeKept  = "theme"
	windowKept = "window"
)

// keeper hands on what was chosen and typed to be kept, in its order.
type keeper struct {
	*view.Context
	put    func(changed map[string][]string) error
	kept   map[string][]string // as it was noted last
	window string

	mu      sync.Mutex
	waiting map[string][]string // noted and not handed on
	writing sync.Mutex
}

// recall takes up what was chosen last, where the options do not say otherwise, and
// returns the theme.
func (k *keeper) recall(o *Options) theme.Name {
	k.put = o.Keep
	maps.Copy(k.Typed, o.Typed)
	k.kept = maps.Clone(k.Typed)
	k.Window.Choose(cmp.Or(o.Window, k.chosen(k.windowName())))
	k.window = k.Window.Name()
	if last := theme.Name(k.chosen(themeKept)); o.Theme == "" && slices.Contains(theme.Names, last) {
		return last
	}
	return o.Theme
}

// windowName is what the window is kept as: of a replay it is another one.
func (k *keeper) windowName() string {
	if k.Mode == view.Playback {
		return windowKept + " of replays"
	}
	return windowKept
}

// chosen is what was chosen last; "" for nothing.
func (k *keeper) chosen(what string) string {
	if v := k.Typed[what]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// choose notes a choice; "" forgets it.
func (k *keeper) choose(what, value string) {
	switch {
	case k.chosen(what) == value:
	case value == "":
		k.Typed[what] = nil
	default:
		k.Typed[what] = []string{value}
	}
}

// keep has what was chosen or typed since it was last called kept.
func (k *keeper) keep() tea.Cmd {
	if now := k.Window.Name(); now != k.window {
		k.choose(k.windowName(), now)
		k.window = now
	}
	if k.put == nil || maps.EqualFunc(k.Typed, k.kept, slices.Equal) {
		return nil
	}
	k.note()
	return func() tea.Msg {
		if err := k.write(); err != nil {
			return doneMsg{err: err}
		}
		return nil
	}
}

// note notes what has changed.
func (k *keeper) note() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting == nil {
		k.waiting = map[string][]string{}
	}
	for name, v := range k.Typed {
		if was, ok := k.kept[name]; !ok || !slices.Equal(v, was) {
			k.waiting[name] = v
		}
	}
	for name := range k.kept {
		if _, ok := k.Typed[name]; !ok {
			k.waiting[name] = nil
		}
	}
	k.kept = maps.Clone(k.Typed)
}

// write hands on what is waiting.
func (k *keeper) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	changed := k.waiting
	k.waiting = nil
	k.mu.Unlock()
	if len(changed) == 0 || k.put == nil {
		return nil
	}
	return k.put(changed)
}
