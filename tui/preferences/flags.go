package preferences

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"jouletop/gpu/plaintext"
)

// unsettable are flags that are asked for each time.
var unsettable = []string{"help", "version", "config"}

// checkFlags looks for the flags that the file sets among those that there are.
func (f *File) checkFlags(commands map[string]*pflag.FlagSet) {
	known := slices.Sorted(maps.Keys(commands))
	for _, command := range slices.Sorted(maps.Keys(f.Flags)) {
		flags, ok := commands[command]
		if !ok && command != All {
			f.Unknown = append(f.Unknown, Fault{f.Path, f.lines["flags\x00"+command], fmt.Sprintf("unknown command %s: there are %s, %s", strconv.Quote(command), All, strings.Join(known, ", "))})
			continue
		}
		for _, s := range f.Flags[command] {
			has := func(fs *pflag.FlagSet) bool {
				return fs.Lookup(s.Name) != nil && !slices.Contains(unsettable, s.Name)
			}
			switch {
			case command == All && slices.ContainsFunc(known, func(c string) bool { return has(commands[c]) }):
			case command != All && has(flags):
			case command == All:
				f.Unknown = append(f.Unknown, Fault{f.Path, s.Line, fmt.Sprintf("unknown flag %s: no command has it", strconv.Quote(s.Name))})
			default:
				f.Unknown = append(f.Unknown, Fault{f.Path, s.Line, fmt.Sprintf("unknown flag %s: %s has none of that name", strconv.Quote(s.Name), command)})
			}
		}
	}
}

// Apply gives flags of a command, which were parsed, the values that the file says, but
// for those that stand on the command line. It returns the lines of those that it set, by
// name. expand is applied to each value. An error is of type Faults.
func (f *File) Apply(command string, flags *pflag.FlagSet, expand func(string) string) (map[string]int, error) {
	var faults Faults
	set := map[string]int{}
	give := func(s Setting) {
		flag := flags.Lookup(s.Name)
		if _, done := set[s.Name]; flag == nil || done || flag.Changed || slices.Contains(unsettable, s.Name) {
			return
		}
		_, many := flag.Value.(pflag.SliceValue)
		if s.List && !many && len(s.Values) != 1 {
			faults = append(faults, Fault{f.Path, s.Line, "--" + s.Name + ": want one value, not a list"})
			return
		}
		for _, v := range s.Values {
			if err := flags.Set(s.Name, expand(v)); err != nil {
				faults = append(faults, Fault{f.Path, s.Line, "--" + s.Name + ": " + strconv.Quote(v) + ": want " + want(flag)})
				return
			}
		}
		set[s.Name] = s.Line
	}
	for _, s := range f.Flags[command] {
		give(s)
	}
	for _, s := range f.Flags[All] {
		give(s)
	}
	if f.Price >= 0 {
		give(Setting{Name: "price", Values: []string{strconv.FormatFloat(f.Price, 'g', -1, 64)}, Line: f.lines["price"]})
	}
	if f.Currency != "" {
		give(Setting{Name: "currency", Values: []string{f.Currency}, Line: f.lines["currency"]})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return set, nil
}

// want words what a flag takes.
func want(flag *pflag.Flag) string {
	switch t := flag.Value.Type(); {
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case t == "bool":
		return "true or false"
	case t == "duration":
		return "a time such as 30s"
	default:
		return t
	}
}

// Blame adds to an error that names flags where the file sets them.
func (f *File) Blame(err error, set map[string]int) error {
	text := err.Error()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if at := strings.Index(text, "--"+name); at >= 0 && !strings.HasPrefix(text[at+2+len(name):], "-") {
			err = fmt.Errorf("%w (%s:%d sets --%s)", err, plaintext.Line(f.Path), set[name], name)
		}
	}
	return err
}
