package preferences

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/pflag"

	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// None in place of a file's name is no file at all.
const None = "none"

// mostBytes is more than anybody writes by hand.
const mostBytes = 1 << 20

// Fault is something that is wrong with the file.
type Fault struct {
	Path string
	Line int // 0: of the whole
	Text string
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Text
	}
	return f.Path + ":" + strconv.Itoa(f.Line) + ": " + f.Text
}

// Faults are all that make a file unusable, a line each.
type Faults []Fault

func (f Faults) Error() string {
	var lines []string
	for _, one := range f {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Setting is one line of the file.
type Setting struct {
	Name   string
	Values []string // as a flag takes them
	List   bool     // it was written as a list
	Line   int
}

// File is what the operator's config.toml says. The zero value says nothing.
type File struct {
	Path     string     // as it was named; "" for none
	Theme    theme.Name // "" for the terminal's
	Window   string     // one of view.WindowNames, "" for the one remembered
	Price    float64    // of a kWh; NaN where it is not said
	Currency string
	Remember bool // what is chosen is remembered for the next time

	Keys  []Setting            // keys bound anew, by their names
	Flags map[string][]Setting // defaults of flags, by command; see All

	// Unknown are the keys that mean nothing here. The rest of the file holds.
	Unknown []Fault
	// Faults are the values that cannot be. With any of them the file does not hold.
	Faults Faults

	lines map[string]int
}

// All is the command whose flags' defaults are those of every command that has them;
// Dashboard the one without a name.
const (
	All       = "all"
	Dashboard = "dashboard"
)

// Open reads the file at path, which the operator named; None is a file that says nothing.
// An error, of type Faults, is of a file that cannot be read at all; see Check for what is
// in it.
func Open(path string) (*File, error) {
	if path == None {
		return Parse("", nil)
	}
	return open(path, path)
}

// OpenDefault reads the file that lies where it is looked for, shown as name. Where there
// is none it says nothing, and neither does one that belongs to another user: that is not
// the operator's, and is in Unknown.
func OpenDefault(path, name string) (*File, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Parse("", nil)
	}
	if err == nil {
		if uid, ok := foreign(st); ok {
			f, _ := Parse("", nil)
			f.Unknown = []Fault{{name, 0, fmt.Sprintf("belongs to user %d: left out; --config %s takes it", uid, name)}}
			return f, nil
		}
	}
	return open(path, name)
}

// foreign tells whether a file belongs to neither the user nor root, and to whom.
func foreign(st fs.FileInfo) (uid uint32, is bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return sys.Uid, ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid()
}

func open(path, name string) (*File, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, Faults{{name, 0, reason(err, path)}}
	}
	defer func() { _ = f.Close() }()
	data, err := regular.Read(f, mostBytes)
	if err != nil {
		return nil, Faults{{name, 0, reason(err, path)}}
	}
	return Parse(name, data)
}

// reason is what an error says beside the path.
func reason(err error, path string) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), path+": ")
}

// reader reads the values of a file.
type reader struct{ *File }

// Parse reads what a file holds; path is for what it says of it.
func Parse(path string, data []byte) (*File, error) {
	r := reader{&File{Path: path, Price: math.NaN(), Remember: true, Flags: map[string][]Setting{}}}
	all := map[string]any{}
	if err := toml.Unmarshal(data, &all); err != nil {
		fault := Fault{path, 0, plaintext.Line(strings.TrimPrefix(err.Error(), "toml: "))}
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			fault.Line, _ = at.Position()
		}
		return nil, Faults{fault}
	}
	r.lines = linesOf(data)
	for _, name := range r.byLine(all, "") {
		r.take(name, all[name])
	}
	return r.File, nil
}

// Check checks the flags that the file says against those that there are, by command, and
// binds its keys with bind, which is tui.BindKeys. What is not there is added to Unknown.
// An error is of type Faults, and of all that is wrong.
func (f *File) Check(commands map[string]*pflag.FlagSet, bind Bind) (*view.Bindings, error) {
	f.checkFlags(commands)
	bindings := f.bind(bind)
	byLine := func(a, b Fault) int { return a.Line - b.Line }
	slices.SortStableFunc(f.Unknown, byLine)
	slices.SortStableFunc(f.Faults, byLine)
	if len(f.Faults) > 0 {
		return nil, f.Faults
	}
	return bindings, nil
}

// take takes a key of the file's own.
func (r *reader) take(name string, value any) {
	switch name {
	case "theme":
		if text, ok := r.text(name, value); ok && text != "auto" {
			r.Theme = theme.Name(text)
			if !slices.Contains(theme.Names, r.Theme) {
				r.wrong(r.lines[name], "theme: %s: want auto, %s", strconv.Quote(text), joined(theme.Names))
			}
		}
	case "window":
		if text, ok := r.text(name, value); ok {
			r.Window = text
			if !slices.Contains(view.WindowNames, text) {
				r.wrong(r.lines[name], "window: %s: want %s", strconv.Quote(text), strings.Join(view.WindowNames, ", "))
			}
		}
	case "price":
		switch v := value.(type) {
		case int64:
			r.Price = float64(v)
		case float64:
			r.Price = v
		}
		if !(r.Price >= 0) || math.IsInf(r.Price, 1) {
			r.wrong(r.lines[name], "price: want a number of 0 or more, of a kWh")
		}
	case "currency":
		if text, ok := r.text(name, value); ok {
			if err := CheckCurrency(text); err != nil {
				r.wrong(r.lines[name], "currency: %v", err)
			}
			r.Currency = text
		}
	case "remember":
		on, ok := value.(bool)
		if !ok {
			r.wrong(r.lines[name], "remember: want true or false")
		}
		r.Remember = on
	case "keys":
		r.table(name, value, func(s Setting) { r.Keys = append(r.Keys, s) })
	case "flags":
		commands, ok := value.(map[string]any)
		if !ok {
			r.wrong(r.lines[name], "flags: want tables such as [flags.all] and [flags.run]")
			return
		}
		for _, command := range r.byLine(commands, name) {
			path := name + "\x00" + command
			if _, ok := commands[command].(map[string]any); !ok {
				r.wrong(r.lines[path], "flags.%s: want it in a table of a command: [flags.all], [flags.run]", plaintext.Line(command))
				continue
			}
			r.Flags[command] = []Setting{} // it is named, whatever it holds
			r.table(path, commands[command], func(s Setting) { r.Flags[command] = append(r.Flags[command], s) })
		}
	default:
		r.unknown(r.lines[name], "unknown key %s: there are theme, window, price, currency, remember, [keys] and [flags.COMMAND]", strconv.Quote(name))
	}
}

// mostCurrency is the most letters of a currency: it stands beside a figure.
const mostCurrency = 8

// CheckCurrency says what is wrong with the word for a currency.
func CheckCurrency(text string) error {
	if n := len([]rune(text)); n > mostCurrency || plaintext.Line(text) != text || strings.TrimSpace(text) != text {
		return fmt.Errorf("%s: want up to %d letters, such as EUR or €", strconv.Quote(text), mostCurrency)
	}
	return nil
}

func joined(names []theme.Name) string {
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, ", ")
}

// byLine are the keys of a table in the order of the file.
func (r *reader) byLine(table map[string]any, path string) []string {
	line := func(name string) int {
		if path != "" {
			name = path + "\x00" + name
		}
		return r.lines[name]
	}
	return slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(table))), func(a, b string) int { return line(a) - line(b) })
}

// table reads a table of settings.
func (r *reader) table(path string, value any, add func(Setting)) {
	title := strings.ReplaceAll(path, "\x00", ".")
	table, ok := value.(map[string]any)
	if !ok {
		r.wrong(r.lines[path], "%s: want a table: [%s]", title, title)
		return
	}
	for _, name := range r.byLine(table, path) {
		at := r.lines[path+"\x00"+name]
		s := Setting{Name: name, Line: at}
		values, list := table[name].([]any)
		if s.List = list; !list {
			values = []any{table[name]}
		}
		for _, v := range values {
			if text, ok := asFlag(v); ok {
				s.Values = append(s.Values, text)
			}
		}
		if len(s.Values) != len(values) {
			r.wrong(at, "%s.%s: want a text, a number, true or false, or a list of such", title, plaintext.Line(name))
			continue
		}
		add(s)
	}
}

// asFlag is a value as it would stand on the command line.
func asFlag(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func (r *reader) text(name string, value any) (string, bool) {
	text, ok := value.(string)
	if !ok {
		r.wrong(r.lines[name], "%s: want a text in quotes", name)
	}
	return text, ok
}

func (r *reader) wrong(line int, format string, args ...any) {
	r.Faults = append(r.Faults, Fault{r.Path, line, fmt.Sprintf(format, args...)})
}

func (r *reader) unknown(line int, format string, args ...any) {
	r.Unknown = append(r.Unknown, Fault{r.Path, line, fmt.Sprintf(format, args...)})
}

// linesOf tells on which line each key of a file stands: its path, joined by NUL.
func linesOf(data []byte) map[string]int {
	var (
		p     unstable.Parser
		out   = map[string]int{}
		table []string
	)
	p.Reset(data)
	// note notes the keys of a path under a table, the first where one has several.
	note := func(table []string, keys unstable.Iterator) []string {
		path := slices.Clone(table)
		for keys.Next() {
			k := keys.Node()
			path = append(path, string(k.Data))
			id := strings.Join(path, "\x00")
			if _, ok := out[id]; !ok {
				out[id] = p.Shape(k.Raw).Start.Line
			}
		}
		return path
	}
	var value func(path []string, n *unstable.Node)
	value = func(path []string, n *unstable.Node) {
		if n.Kind != unstable.InlineTable {
			return
		}
		for in := n.Children(); in.Next(); {
			value(note(path, in.Node().Key()), in.Node().Value())
		}
	}
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = note(nil, e.Key())
		case unstable.KeyValue:
			value(note(table, e.Key()), e.Value())
		}
	}
	return out
}
