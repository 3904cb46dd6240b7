package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/rivo/uniseg"
)

// named are the keys that have a name in place of a letter.
var named = map[string]rune{
	"space": tea.KeySpace, "tab": tea.KeyTab, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete, "insert": tea.KeyInsert,
	"home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
	"f1": tea.KeyF1, "f2": tea.KeyF2, "f3": tea.KeyF3, "f4": tea.KeyF4, "f5": tea.KeyF5, "f6": tea.KeyF6, "f7": tea.KeyF7, "f8": tea.KeyF8, "f9": tea.KeyF9, "f10": tea.KeyF10, "f11": tea.KeyF11, "f12": tea.KeyF12,
}

// modifiers in the order in which a press names them.
var modifiers = []struct {
	name string
	mod  tea.KeyMod
}{{"ctrl", tea.ModCtrl}, {"alt", tea.ModAlt}, {"shift", tea.ModShift}}

// alike are presses that a terminal does not tell from a key that moves.
var alike = map[string]string{"ctrl+i": "Tab", "ctrl+m": "Enter", "ctrl+j": "Enter", "ctrl+[": "Esc", "ctrl+h": "Backspace"}

// ParsePress reads a key as it is written in settings, such as k, Ctrl+K, F5 or Space,
// and returns it as tea.KeyPressMsg.String has it. Keys that move and leave are refused.
func ParsePress(text string) (string, error) {
	_, name, err := readPress(text)
	switch {
	case err != nil:
		return "", err
	case slices.Contains(moving, name):
		return "", fmt.Errorf("%s moves or leaves: want another key", pressLabel(name))
	case alike[name] != "":
		return "", fmt.Errorf("%s is %s to a terminal: want another key", pressLabel(name), alike[name])
	}
	return name, nil
}

// readPress reads a key and the name it has in a press.
func readPress(text string) (tea.Key, string, error) {
	no := fmt.Errorf("%s is no key: want a letter, or such as Ctrl+K, Alt+X, F5, Space, Del", strconv.Quote(text))
	rest, mod := text, tea.KeyMod(0)
	for {
		before, after, ok := strings.Cut(rest, "+")
		i := slices.IndexFunc(modifiers, func(m struct {
			name string
			mod  tea.KeyMod
		}) bool {
			return m.name == strings.ToLower(before)
		})
		if !ok || i < 0 || after == "" {
			break
		}
		if mod&modifiers[i].mod != 0 {
			return tea.Key{}, "", no
		}
		mod |= modifiers[i].mod
		rest = after
	}
	name := strings.ToLower(rest)
	switch name {
	case " ":
		name = "space"
	case "del":
		name = "delete"
	case "escape":
		name = "esc"
	case "return":
		name = "enter"
	}
	key := tea.Key{Mod: mod}
	if code, ok := named[name]; ok {
		key.Code = code
		if mod == 0 && code == tea.KeySpace {
			key.Text = " "
		}
		return key, key.String(), nil
	}
	r := []rune(rest)
	if len(r) != 1 || !unicode.IsPrint(r[0]) || uniseg.StringWidth(rest) != 1 {
		return tea.Key{}, "", no
	}
	if mod&^tea.ModShift == 0 {
		if mod != 0 { // Shift and a letter is the capital
			r[0] = unicode.ToUpper(r[0])
		}
		return tea.Key{Code: r[0], Text: string(r)}, string(r), nil
	}
	key.Code = unicode.ToLower(r[0])
	return key, key.String(), nil
}

// ParseAnyPress is the message of a press of the key of that name, of one that moves or
// leaves too.
func ParseAnyPress(name string) (tea.KeyPressMsg, error) {
	key, _, err := readPress(name)
	return tea.KeyPressMsg(key), err
}

// Press is the message of a press of the key of that name, which there is.
func Press(name string) tea.KeyPressMsg {
	msg, _ := ParseAnyPress(name)
	return msg
}

// pressLabel is how a press is written for a person.
func pressLabel(name string) string {
	parts := strings.Split(name, "+")
	if len([]rune(name)) == 1 {
		return name
	}
	for i, p := range parts {
		switch {
		case p == "": // of a + itself
			parts[i] = ""
		case p == "pgup":
			parts[i] = "PgUp"
		case p == "pgdown":
			parts[i] = "PgDn"
		case p == "delete":
			parts[i] = "Del"
		default:
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "+")
}
