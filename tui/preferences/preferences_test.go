package preferences

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"jouletop/tui/theme"
	"jouletop/tui/view"
)

const whole = `# mine
theme = "light16"
window = "1m"
price = 0.25
currency = "EUR"
remember = false

[keys]
clock = "Ctrl+K"
stop = ["x", "F8"]

[flags.all]
gpu = "sim"
[flags.run]
repeats = 5
batch = [1, 4]
chat = true
sim-speed = 2.5
`

func TestFileIsRead(t *testing.T) {
	f, err := Parse("c.toml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if f.Theme != theme.Light16 || f.Window != "1m" || f.Price != 0.25 || f.Currency != "EUR" || f.Remember || len(f.Unknown) > 0 {
		t.Errorf("%+v", f)
	}
	if want := []Setting{{"clock", []string{"Ctrl+K"}, false, 9}, {"stop", []string{"x", "F8"}, true, 10}}; !reflect.DeepEqual(f.Keys, want) {
		t.Errorf("keys %+v, want %+v", f.Keys, want)
	}
	want := map[string][]Setting{
		All:   {{"gpu", []string{"sim"}, false, 13}},
		"run": {{"repeats", []string{"5"}, false, 15}, {"batch", []string{"1", "4"}, true, 16}, {"chat", []string{"true"}, false, 17}, {"sim-speed", []string{"2.5"}, false, 18}},
	}
	if !reflect.DeepEqual(f.Flags, want) {
		t.Errorf("flags %+v, want %+v", f.Flags, want)
	}
	empty, err := Parse("", nil)
	if err != nil || !empty.Remember || !math.IsNaN(empty.Price) || empty.Theme != "" {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
}

// Everything that is wrong is named with its line, all of it at once; what means nothing
// is named too, and the rest holds.
func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct {
		text    string
		wrong   []string
		unknown []string
	}{
		{text: `theme = "pink"`, wrong: []string{`c.toml:1: theme: "pink": want auto, dark, light, dark16, light16, plain`}},
		{text: `theme = 3`, wrong: []string{`c.toml:1: theme: want a text in quotes`}},
		{text: "\nwindow = \"3m\"\nprice = \"cheap\"\nremember = 1", wrong: []string{`c.toml:2: window: "3m": want 10s, 1m, 10m, session, 2s`, `c.toml:3: price: want a number of 0 or more`, `c.toml:4: remember: want true or false`}},
		{text: `price = -1`, wrong: []string{`c.toml:1: price`}},
		{text: `price = nan`, wrong: []string{`c.toml:1: price`}},
		{text: `price = inf`, wrong: []string{`c.toml:1: price`}},
		{text: `currency = "a\u001b[31m"`, wrong: []string{`c.toml:1: currency: "a\x1b[31m": want up to 8 letters`}},
		{text: "a = 1\nb = [", wrong: []string{`c.toml:2: `}},
		{text: "theme = \"dark\"\ntheme = \"light\"", wrong: []string{`c.toml:2: `}},
		{text: `keys = "f"`, wrong: []string{`c.toml:1: keys: want a table: [keys]`}},
		{text: "[keys]\nclock = 2026-01-01", wrong: []string{`c.toml:2: keys.clock: want a text, a number`}},
		{text: "[[flags]]\nrun = 1", wrong: []string{`c.toml:1: flags: want tables`}},
		{text: "[flags]\nrun = 1", wrong: []string{`c.toml:2: flags.run: want it in a table of a command`}},
		{text: "thme = \"dark\"\nwindow = \"1m\"", unknown: []string{`c.toml:1: unknown key "thme": there are theme,`}},
		{text: "[keyz]\na = 1\n[x.y]\nb = 1", unknown: []string{`c.toml:1: unknown key "keyz"`, `c.toml:3: unknown key "x"`}},
		{text: "keys = {clock = \"k\"}\nflags.run = {repeats = 2}"},
	} {
		f, err := Parse("c.toml", []byte(c.text))
		var got Faults
		if err == nil {
			_, err = f.Check(flagsOf(), noKeys)
		}
		if err != nil {
			got, _ = errors.AsType[Faults](err)
		}
		check := func(what string, got []Fault, want []string) {
			t.Helper()
			if len(got) != len(want) {
				t.Errorf("%q: %s %q, want %q", c.text, what, got, want)
				return
			}
			for i, f := range got {
				if !strings.HasPrefix(f.Error(), want[i]) || strings.Contains(f.Error(), "\n") {
					t.Errorf("%q: %s %q, want %q", c.text, what, f.Error(), want[i])
				}
			}
		}
		check("faults", got, c.wrong)
		if err == nil {
			check("unknown", f.Unknown, c.unknown)
			if strings.Contains(c.text, `"1m"`) && f.Window != "1m" {
				t.Errorf("%q: the rest is lost: %+v", c.text, f)
			}
		}
	}
}

func TestWhatLiesInTheFilesPlace(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("file"), []byte(`theme = "dark"`), 0o644), os.Symlink(at("file"), at("link")), unix.Mkfifo(at("fifo"), 0o600), os.Mkdir(at("folder"), 0o755),
		os.WriteFile(at("giant"), nil, 0o644), os.Truncate(at("giant"), 900e9),
	); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, wrong string }{
		{"file", ""}, {"link", ""}, // of a person's own making
		{"fifo", "not a regular file"}, {"folder", "not a regular file"}, {"giant", "too large"}, {"missing", "no such file"},
	} {
		f, err := Open(at(c.name))
		switch {
		case c.wrong == "" && (err != nil || f.Theme != theme.Dark):
			t.Errorf("%s: %+v, %v", c.name, f, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Count(err.Error(), at(c.name)) != 1):
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
	}
	if f, err := OpenDefault(at("missing"), "~/c"); err != nil || f.Path != "" {
		t.Errorf("no file at all: %+v, %v", f, err)
	}
	if f, err := Open(None); err != nil || f.Path != "" {
		t.Errorf("none: %+v, %v", f, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(at("file"), 4711, -1); err != nil {
		t.Fatal(err)
	}
	f, err := OpenDefault(at("file"), "~/c")
	if err != nil || f.Theme != "" || len(f.Unknown) != 1 || !strings.Contains(f.Unknown[0].Error(), "~/c: belongs to user 4711") {
		t.Errorf("another user's: %+v, %v", f, err)
	}
	if f, err := Open(at("file")); err != nil || f.Theme != theme.Dark {
		t.Errorf("another user's that was named: %+v, %v", f, err)
	}
}

// flagsOf are flags of two commands, as they are once the command line is parsed.
func flagsOf(args ...string) map[string]*pflag.FlagSet {
	run, gpu := pflag.NewFlagSet("run", pflag.ContinueOnError), pflag.NewFlagSet("gpu", pflag.ContinueOnError)
	run.Int("repeats", 1, "")
	run.IntSlice("batch", []int{1}, "")
	run.StringArray("model", nil, "")
	run.Float64("price", 0.3, "")
	run.Bool("chat", false, "")
	run.String("sim", "", "")
	for _, f := range []*pflag.FlagSet{run, gpu} {
		f.String("gpu", "auto", "")
		f.String("config", "", "")
	}
	if err := run.Parse(args); err != nil {
		panic(err)
	}
	return map[string]*pflag.FlagSet{"run": run, "gpu": gpu}
}

// noKeys knows two keys.
func noKeys(own map[string][]string) (*view.Bindings, []view.BindError) {
	layer := view.Layer{Name: "all", Keys: []view.Key{view.Bind("f", "clock", "", "f"), view.Bind("x", "stop", "", "x")}}
	return view.NewBindings(own, []view.Layer{layer}, layer.Keys)
}

// A key that cannot be is told of with all else that is wrong; one that there is not, and
// what is right of the others, does not keep them from being bound.
func TestKeysAreBound(t *testing.T) {
	f, err := Parse("c.toml", []byte("[keys]\nclok = \"k\"\nclock = \"Ctrl+K\""))
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Check(flagsOf(), noKeys)
	if err != nil || len(f.Unknown) != 1 || f.Unknown[0].Line != 2 || b.Shown(view.Bind("f", "clock", "", "f")).Help().Key != "Ctrl+K" {
		t.Errorf("%v, %v", f.Unknown, err)
	}
	f, err = Parse("c.toml", []byte("price = -1\n[keys]\nclock = \"Enter\"\nstop = \"f\""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Check(flagsOf(), noKeys); err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), "c.toml:4: keys: stop: f is clock") {
		t.Errorf("%v", err)
	}
}

func TestFlagsTakeTheirDefaults(t *testing.T) {
	for _, c := range []struct {
		text  string
		args  []string
		want  map[string]string
		wrong string
	}{
		{text: "[flags.run]\nrepeats = 5", want: map[string]string{"repeats": "5"}},
		{text: "[flags.run]\nrepeats = 5", args: []string{"--repeats", "2"}, want: map[string]string{"repeats": "2"}},
		{text: "[flags.all]\ngpu = \"sim\"\nnothing = 1\n[flags.run]\ngpu = \"nvml\"", want: map[string]string{"gpu": "nvml"}},
		{text: "[flags.run]\nbatch = [1, 4]\nmodel = [\"~/a\", \"b,c\"]\nchat = true", want: map[string]string{"batch": "[1,4]", "model": "[/home/a,\"b,c\"]", "chat": "true"}},
		{text: "price = 0.25\n[flags.run]\nprice = 0.5", want: map[string]string{"price": "0.5"}},
		{text: "price = 0.25", want: map[string]string{"price": "0.25"}},
		{text: "[flags.gpu]\ngpu = \"nvml\"\n[flags.run]\nconfig = \"x\"", want: map[string]string{"gpu": "auto", "config": ""}},
		{text: "[flags.run]\nrepeats = \"many\"", wrong: `c.toml:2: --repeats: "many": want a whole number`},
		{text: "[flags.run]\nrepeats = [1, 2]", wrong: `c.toml:2: --repeats: want one value, not a list`},
	} {
		f, err := Parse("c.toml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		run := flagsOf(c.args...)["run"]
		set, err := f.Apply("run", run, func(s string) string { return strings.ReplaceAll(s, "~", "/home") })
		if c.wrong != "" {
			if err == nil || err.Error() != c.wrong {
				t.Errorf("%q: %v, want %s", c.text, err, c.wrong)
			}
			continue
		}
		for name, want := range c.want {
			if got := run.Lookup(name).Value.String(); err != nil || got != want {
				t.Errorf("%q %v: --%s is %s, %v, want %s", c.text, c.args, name, got, err, want)
			}
		}
		if slices.Contains(c.args, "--repeats") && set["repeats"] != 0 {
			t.Errorf("%q: set although it stands on the command line", c.text)
		}
	}
}

func TestUnknownFlagsAreNamed(t *testing.T) {
	f, err := Parse("c.toml", []byte("[flags.all]\nnothing = 1\nrepeats = 2\n[flags.runn]\na = 1\n[flags.run]\nrepeat = 1\nhelp = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(flagsOf(), noKeys); err != nil {
		t.Fatal(err)
	}
	want := []string{`c.toml:2: unknown flag "nothing": no command has it`, `c.toml:4: unknown command "runn": there are all, gpu, run`, `c.toml:7: unknown flag "repeat": run has none`, `c.toml:8: unknown flag "help"`}
	if len(f.Unknown) != len(want) {
		t.Fatalf("%q, want %q", f.Unknown, want)
	}
	for i, w := range want {
		if !strings.HasPrefix(f.Unknown[i].Error(), w) {
			t.Errorf("%q, want %q", f.Unknown[i].Error(), w)
		}
	}
}

// An error about a flag names the file where that is what said it.
func TestErrorsNameTheFileThatSetTheFlag(t *testing.T) {
	f := &File{Path: "c.toml"}
	set := map[string]int{"sim": 3}
	for text, want := range map[string]string{
		"--sim 3: no":       "--sim 3: no (c.toml:3 sets --sim)",
		"--sim-speed 3: no": "--sim-speed 3: no",
		"no":                "no",
	} {
		if got := f.Blame(errors.New(text), set).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "remembered.json")
	m := NewMemory(path)
	if got, err := m.Load(); err != nil || len(got) > 0 {
		t.Fatalf("nothing remembered: %v, %v", got, err)
	}
	if err := errors.Join(m.Keep(map[string][]string{"theme": {"light"}, "prompts": {"a\nb", "c"}}), NewMemory(path).Keep(map[string][]string{"window": {"1m"}, "theme": nil})); err != nil {
		t.Fatal(err)
	}
	got, err := m.Load()
	if want := map[string][]string{"window": {"1m"}, "prompts": {"a\nb", "c"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: prompts are nobody else's to read", st.Mode(), err)
	}
	long := strings.Repeat("x", mostOfOne/2)
	if err := m.Keep(map[string][]string{"prompts": {"old", long, long}}); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Load(); err != nil || !reflect.DeepEqual(got["prompts"], []string{long, long}) {
		t.Errorf("of too much the newest is kept: %d, %v", len(got["prompts"]), err)
	}
}

// A damaged file is written anew; one that is not the program's own is left as it is.
func TestMemoryThatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("damaged"), []byte("{not"), 0o600), os.WriteFile(at("other"), []byte("{}"), 0o600), os.Symlink(at("other"), at("link")), unix.Mkfifo(at("fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		kept bool
	}{{"damaged", true}, {"link", false}, {"fifo", false}} {
		m := NewMemory(at(c.name))
		if _, err := m.Load(); err == nil || !strings.Contains(err.Error(), at(c.name)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := m.Keep(map[string][]string{"a": {"b"}}); (err == nil) != c.kept {
			t.Errorf("%s: kept with %v", c.name, err)
		}
	}
	if got, _ := os.ReadFile(at("other")); string(got) != "{}" {
		t.Errorf("a link was followed: %s", got)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(at("other"), 4711, -1); err != nil {
		t.Fatal(err)
	}
	if err := NewMemory(at("other")).Keep(map[string][]string{"a": {"b"}}); err == nil {
		t.Error("another user's file was written")
	}
}

// Whatever a file holds, it is read or refused by a line of it, and what is refused can
// be shown on a terminal.
func FuzzFile(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("keys = {a.b = {c = [[1]]}}\n[[x]]\n[flags]\nrun.a = 1"))
	f.Add([]byte("\"a\\u001b\" = 1\n[flags.\"\\u0000\"]\nx = 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("c.toml", data)
		var lines []Fault
		if err != nil {
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("%v is no list of faults", err)
			}
			lines = faults
		} else {
			if _, err := file.Check(flagsOf(), noKeys); err != nil {
				return
			}
			if _, err := file.Apply("run", flagsOf()["run"], strings.TrimSpace); err != nil {
				faults, _ := errors.AsType[Faults](err)
				lines = append(lines, faults...)
			}
			lines = append(append(lines, file.Unknown...), file.Faults...)
			if file.Theme != "" && !slices.Contains(theme.Names, file.Theme) || file.Price < 0 {
				t.Errorf("took %+v", file)
			}
		}
		most := strings.Count(string(data), "\n") + 1
		for _, l := range lines {
			if l.Line > most || strings.ContainsAny(l.Error(), "\n\x1b\x00") {
				t.Errorf("%q", l.Error())
			}
		}
	})
}

// Nor does what is remembered, whatever it holds, do more than be refused.
func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"theme":["dark"],"prompts":["a"],"x":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m := NewMemory(path)
		got, err := m.Load()
		for name, v := range got {
			if len(v) == 0 {
				t.Errorf("%q holds nothing", name)
			}
		}
		if err != nil && got != nil {
			t.Error("both an error and an answer")
		}
		if err := m.Keep(map[string][]string{"a": {"b"}}); err != nil {
			t.Errorf("not kept: %v", err)
		}
	})
}
