package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Name is what the key is called where the operator binds it anew: the word for what it
// does on the last line, such as new-job.
func (k Key) Name() string { return strings.ReplaceAll(strings.ToLower(k.Hint), " ", "-") }

// moving are keys that move and leave, everywhere alike: they stay as they are.
var moving = []string{"up", "down", "left", "right", "pgup", "pgdown", "home", "end", "enter", "esc", "tab", "shift+tab", "backspace", "ctrl+c"}

// Fixed tells whether the key cannot be bound anew: it moves or leaves, or takes what is
// typed.
func (k Key) Fixed() bool {
	keys := k.Keys()
	return len(keys) == 0 || slices.Contains(moving, keys[0]) || !k.each() && len(strings.Fields(k.Help().Key)) != 1 || len(keys) > 3
}

// each tells whether each of the key's presses means something of its own, as + and -
// do, in place of all the same.
func (k Key) each() bool { n := len(k.Keys()); return n > 1 && len(strings.Fields(k.Help().Key)) == n }

// Bindings are the operator's own keys in place of the dashboard's. A press is turned into
// the one that the dashboard knows, where it comes in, and a key into the one that the
// operator knows, where it is shown; between the two every key is the dashboard's. nil is
// none of one's own.
type Bindings struct {
	own    map[string][]string // by the name of the key, as tea.KeyPressMsg.String has them
	known  map[string]Key
	labels map[string]string // of common keys that were bound anew, by how they were written
}

// Layer are keys that are looked at together: those of a page and all pages, or those of
// a panel.
type Layer struct {
	Name string
	Keys []Key
}

// BindError says what is wrong with a key of the operator's own.
type BindError struct {
	Name    string // of the key
	Text    string
	Unknown bool // there is no key of that name
}

func (e BindError) Error() string { return e.Text }

// NewBindings binds keys anew, by their names. Every layer is checked for a press that
// would mean two things; common are the keys whose labels stand in those of others.
func NewBindings(own map[string][]string, layers []Layer, common []Key) (*Bindings, []BindError) {
	known := map[string]Key{}
	for _, l := range layers {
		for _, k := range l.Keys {
			if was, ok := known[k.Name()]; !ok || was.Fixed() {
				known[k.Name()] = k
			}
		}
	}
	b := &Bindings{own: map[string][]string{}, known: known, labels: map[string]string{}}
	var wrong []BindError
	for _, name := range slices.Sorted(maps.Keys(own)) {
		k, ok := known[name]
		switch {
		case !ok:
			wrong = append(wrong, BindError{Name: name, Text: "no key is called " + name, Unknown: true})
			continue
		case k.Fixed():
			wrong = append(wrong, BindError{Name: name, Text: name + " stays " + k.Help().Key})
			continue
		case len(own[name]) == 0 || k.each() && len(own[name]) != len(k.Keys()):
			n := "a key"
			if k.each() {
				n = fmt.Sprintf("%d keys, for %s", len(k.Keys()), k.Help().Key)
			}
			wrong = append(wrong, BindError{Name: name, Text: name + ": want " + n})
			continue
		}
		for _, text := range own[name] {
			press, err := ParsePress(text)
			if err != nil {
				wrong = append(wrong, BindError{Name: name, Text: name + ": " + err.Error()})
				continue
			}
			b.own[name] = append(b.own[name], press)
		}
	}
	if len(wrong) == 0 {
		wrong = b.conflicts(layers)
	}
	for _, k := range common {
		if _, ok := b.own[k.Name()]; ok && !k.Fixed() {
			b.labels[k.Help().Key] = b.label(k)
		}
	}
	return b, wrong
}

// conflicts names the presses that mean two things.
func (b *Bindings) conflicts(layers []Layer) (wrong []BindError) {
	told := map[string]bool{}
	for _, l := range layers {
		owner := map[string]Key{}
		for _, k := range l.Keys {
			for _, press := range b.presses(k) {
				was, taken := owner[press]
				owner[press] = k
				_, first := b.own[was.Name()]
				_, second := b.own[k.Name()]
				if !taken || was.Name() == k.Name() || !first && !second {
					continue
				}
				name, other := k.Name(), was.Name()
				if !second {
					name, other = other, name
				}
				if id := press + name + other; !told[id] {
					told[id] = true
					wrong = append(wrong, BindError{Name: name, Text: fmt.Sprintf("%s: %s is %s (%s)", name, pressLabel(press), other, l.Name)})
				}
			}
		}
	}
	return wrong
}

// presses are those of a key, as the operator knows them.
func (b *Bindings) presses(k Key) []string {
	if own, ok := b.own[k.Name()]; ok && !k.Fixed() {
		return own
	}
	return k.Keys()
}

// Read turns a press into the one that the dashboard knows; false where it means nothing
// as keys are bound. The first of the layers is asked first.
func (b *Bindings) Read(press string, layers ...[]Key) (string, bool) {
	if b == nil || len(b.own) == 0 {
		return press, true
	}
	moved := false // it was a key's that is another now
	for i, layer := range layers {
		for _, k := range layer {
			at := slices.Index(b.presses(k), press)
			if at < 0 {
				moved = moved || slices.Contains(k.Keys(), press)
				continue
			}
			to := press
			if _, own := b.own[k.Name()]; own && !k.Fixed() {
				to = k.Keys()[0]
				if k.each() {
					to = k.Keys()[at]
				}
			}
			return to, !claimed(to, layers[:i])
		}
	}
	return press, !moved
}

// claimed tells whether the dashboard would take a press for a key of these layers.
func claimed(press string, layers [][]Key) bool {
	return slices.ContainsFunc(layers, func(l []Key) bool {
		return slices.ContainsFunc(l, func(k Key) bool { return slices.Contains(k.Keys(), press) })
	})
}

// Shown is the key as the operator knows it.
func (b *Bindings) Shown(k Key) Key {
	if b == nil || len(b.own) == 0 {
		return k
	}
	if _, ok := b.own[k.Name()]; ok && !k.Fixed() {
		return k.As(b.label(k), k.Hint)
	}
	if _, ok := b.known[k.Name()]; ok {
		return k
	}
	// One or two common keys under another word.
	parts := strings.Fields(k.Help().Key)
	for i, p := range parts {
		parts[i] = cmp.Or(b.labels[p], p)
	}
	return k.As(strings.Join(parts, " "), k.Hint)
}

// label is how a key of one's own is written.
func (b *Bindings) label(k Key) string {
	own := b.own[k.Name()]
	if !k.each() {
		return pressLabel(own[0])
	}
	var parts []string
	for _, press := range own {
		parts = append(parts, pressLabel(press))
	}
	return strings.Join(parts, " ")
}
