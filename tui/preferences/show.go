package preferences

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"jouletop/gpu/plaintext"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Bind binds keys of the operator's own, by their names.
type Bind func(own map[string][]string) (*view.Bindings, []view.BindError)

// bind binds the keys that the file says.
func (f *File) bind(bind Bind) *view.Bindings {
	own := map[string][]string{}
	for _, s := range f.Keys {
		own[s.Name] = s.Values
	}
	for len(own) > 0 {
		bindings, wrong := bind(own)
		if len(wrong) == 0 {
			return bindings
		}
		for _, w := range wrong {
			delete(own, w.Name) // the rest is looked at without it
			fault := Fault{f.Path, f.lines["keys\x00"+w.Name], "keys: " + plaintext.Line(w.Text)}
			if w.Unknown {
				fault.Text += ": jouletop config --template lists them"
				f.Unknown = append(f.Unknown, fault)
			} else {
				f.Faults = append(f.Faults, fault)
			}
		}
	}
	return nil
}

// Kept is what the dashboard remembers, and why it does not.
type Kept struct {
	Typed map[string][]string
	Err   error
}

func (k Kept) last(what string) string {
	if v := k.Typed[what]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Write writes what holds and from where. usual is where a file is looked for.
func (f *File) Write(w io.Writer, usual string, groups []view.KeyGroup, kept Kept) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = plaintext.Line(c)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	from := func(name string) string {
		if f.lines[name] == 0 {
			return "default"
		}
		return f.Path + ":" + strconv.Itoa(f.lines[name])
	}
	// chosen is a setting that the dashboard remembers where the file does not say it.
	chosen := func(name, said, last string, known []string, usually string) {
		switch {
		case f.lines[name] > 0:
			row(name, cmp.Or(said, usually), from(name))
		case f.Remember && slices.Contains(known, last):
			row(name, last, "remembered")
		default:
			row(name, usually, "default")
		}
	}
	var themes []string
	for _, n := range theme.Names {
		themes = append(themes, string(n))
	}
	row("setting", "now", "from")
	chosen("theme", string(f.Theme), kept.last("theme"), themes, "auto")
	chosen("window", f.Window, kept.last("window"), view.WindowNames, view.WindowNames[0])
	price := 0.30
	if !math.IsNaN(f.Price) {
		price = f.Price
	}
	row("price", strconv.FormatFloat(price, 'g', -1, 64), from("price"))
	row("currency", cmp.Or(f.Currency, "–"), from("currency"))
	row("remember", strconv.FormatBool(f.Remember), from("remember"))
	for _, command := range slices.Sorted(maps.Keys(f.Flags)) {
		for _, s := range f.Flags[command] {
			row("--"+s.Name+" ("+command+")", strings.Join(s.Values, ","), f.Path+":"+strconv.Itoa(s.Line))
		}
	}
	for _, s := range f.Keys {
		what := ""
		each(groups, func(k view.Key) {
			if k.Name() == s.Name {
				what = ", in place of " + k.Help().Key
			}
		})
		row("key "+s.Name, strings.Join(s.Values, " "), f.Path+":"+strconv.Itoa(s.Line)+what)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	var notes []string
	if f.Path == "" {
		notes = append(notes, "No settings: "+usual+" is not there; `jouletop config --template` prints one to begin with.")
	}
	for _, u := range f.Unknown {
		notes = append(notes, u.Error())
	}
	switch {
	case kept.Err != nil:
		notes = append(notes, "Nothing remembered: "+kept.Err.Error())
	case f.Remember && len(kept.Typed) > 0:
		notes = append(notes, "Remembered: "+strings.Join(remembers(kept.Typed), ", ")+".")
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, plaintext.Line(n)); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
	}
	return nil
}

// remembers counts what is remembered.
func remembers(typed map[string][]string) (out []string) {
	fields := 0
	for name := range typed {
		if strings.Contains(name, "\n") { // a form's field
			fields++
		}
	}
	for _, c := range []struct {
		n    int
		what string
	}{{fields, "fields of forms"}, {len(typed["prompts"]), "prompts"}} {
		if c.n > 0 {
			out = append(out, strconv.Itoa(c.n)+" "+c.what)
		}
	}
	if len(out) == 0 {
		return []string{"no forms, no prompts"}
	}
	return out
}

// each calls f with every key that can be bound anew, once for each name.
func each(groups []view.KeyGroup, f func(view.Key)) {
	told := map[string]bool{}
	for _, g := range groups {
		for _, k := range g.Keys {
			if !k.Fixed() && !told[k.Name()] {
				told[k.Name()] = true
				f(k)
			}
		}
	}
}

const template = `# Settings of jouletop. What is commented out is the default.
# A flag on the command line comes before this file.

# theme = "auto"      # auto (as the terminal asks for), dark, light, dark16, light16, plain
# window = "10s"      # of the live charts: 2s, 10s, 1m, 10m, session
# price = 0.3         # of a kWh
# currency = ""       # written beside the price: EUR, $
# remember = true     # theme, window, forms and prompts of the last time

# Defaults of flags, by command: [flags.all] for every command that has the flag,
# [flags.dashboard] for jouletop without one.
# [flags.all]
# gpu = "auto"
# [flags.sweep]
# repeats = 3

# Keys, by the words of the key bar. Several stand in a list: clock = ["f", "Ctrl+K"].
# Arrows, Enter, Esc, Tab and Ctrl+C stay as they are.
# [keys]
`

// WriteTemplate writes a file to begin with: every setting with its default, commented out.
func WriteTemplate(w io.Writer, groups []view.KeyGroup) error {
	var b strings.Builder
	b.WriteString(template)
	each(groups, func(k view.Key) {
		value := strconv.Quote(k.Help().Key)
		if parts := strings.Fields(k.Help().Key); len(parts) > 1 {
			for i, p := range parts {
				parts[i] = strconv.Quote(p)
			}
			value = "[" + strings.Join(parts, ", ") + "]"
		}
		fmt.Fprintf(&b, "# %-28s # %s\n", k.Name()+" = "+value, k.Help().Desc)
	})
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}
