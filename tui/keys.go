package tui

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/page"
	"jouletop/tui/panel"
	"jouletop/tui/view"
)

// BindKeys checks keys of the operator's own, by their names (see view.Key.Name). What is
// wrong with any of them is told, by its name.
func BindKeys(own map[string][]string) (*view.Bindings, []view.BindError) {
	common, layers := keyLayers(New(Options{}).pages)
	return view.NewBindings(own, layers, common)
}

// KeyGroups are all keys of the dashboard, as its help groups them.
func KeyGroups() []view.KeyGroup {
	m := New(Options{})
	return keyGroups(m.Keys, m.pages)
}

// keyLayers are the keys that mean the same everywhere, and those that are looked at
// together: of each panel, and of each page with the common ones.
func keyLayers(pages []page.Page) (common []view.Key, layers []view.Layer) {
	keys := view.NewKeys()
	common = commonKeys(&keys, pages)
	for _, g := range panel.KeyGroups() {
		layers = append(layers, view.Layer{Name: g.Title, Keys: g.Keys})
	}
	for _, p := range pages {
		layers = append(layers, view.Layer{Name: p.Name(), Keys: slices.Concat(common, p.Keys())})
	}
	return common, layers
}

// commonKeys are those of the program and those that show a page.
func commonKeys(keys *view.Keys, pages []page.Page) []view.Key {
	before, after := keys.Groups()
	out := pageKeys(pages)
	for _, g := range slices.Concat(before, after) {
		out = append(out, g.Keys...)
	}
	return append(out, keys.Next, keys.Prev)
}

// pageKeys are those that show a page.
func pageKeys(pages []page.Page) (out []view.Key) {
	for i, p := range pages {
		n := strconv.Itoa(i + 1)
		out = append(out, view.Bind(n, p.Name(), p.Name(), n))
	}
	return out
}

// typing tells whether letters are typed, so that no key means what it does elsewhere.
func typing(open panels, shown page.Page) bool {
	const noKey = "☃"
	return open.typing() || open.top() == nil && shown.Greedy(view.Press(noKey))
}

// readKey turns a press into the one that the dashboard knows by its own keys, of the
// panels that are open, of the page that is shown and of all pages; false where it means
// nothing.
func readKey(c *view.Context, open panels, all []page.Page, shown page.Page, msg tea.KeyPressMsg) (tea.KeyPressMsg, bool) {
	if c.Bindings == nil || typing(open, shown) {
		return msg, true
	}
	var layers [][]view.Key
	for _, p := range slices.Backward(open) {
		if own, ok := p.(interface{ Own() []view.Key }); ok {
			layers = append(layers, own.Own())
		}
	}
	layers = append(layers, slices.Concat(commonKeys(&c.Keys, all), shown.Keys()))
	to, means := c.Bindings.Read(msg.String(), layers...)
	if means && to != msg.String() {
		msg = view.Press(to)
	}
	return msg, means
}
