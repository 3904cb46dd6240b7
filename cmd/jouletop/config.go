package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/gpu/plaintext"
	"jouletop/tui"
	"jouletop/tui/preferences"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// configEnv names the settings' file, or none, as --config does.
const configEnv = "JOULETOP_CONFIG"

// configPath is where the operator's settings are looked for.
func configPath() string { return filepath.Join(xdg.ConfigHome, "jouletop", "config.toml") }

// preferred is what the operator's settings say, and what of it the command took.
type preferred struct {
	named string // by --config
	file  *preferences.File
	keys  *view.Bindings
	set   map[string]int // flags that the file gave their values
}

// spared are commands that must work whatever the settings say.
var spared = []string{"config", "gpu reset", "help", "version"}

// apply reads the settings, and gives the flags of a command that were not on the command
// line the values that they say.
func (p *preferred) apply(cmd *cobra.Command) error {
	for c := cmd; c != nil; c = c.Parent() {
		if c.Hidden {
			return nil
		}
	}
	if slices.Contains(spared, commandName(cmd)) {
		return nil
	}
	if err := p.read(cmd.Root()); err != nil {
		return err
	}
	for _, u := range p.file.Unknown {
		fmt.Fprintln(os.Stderr, "jouletop:", plaintext.OneLine(u.Error()))
	}
	var err error
	p.set, err = p.file.Apply(commandName(cmd), cmd.Flags(), session.ExpandHome)
	return err
}

// read reads the settings and checks all of them.
func (p *preferred) read(root *cobra.Command) (err error) {
	if path := cmp.Or(p.named, session.ExpandHome(os.Getenv(configEnv))); path != "" {
		p.file, err = preferences.Open(path)
	} else {
		p.file, err = preferences.OpenDefault(configPath(), session.ShortenHome(configPath()))
	}
	if err != nil {
		return err
	}
	commands := map[string]*pflag.FlagSet{}
	commandFlags(root, commands)
	p.keys, err = p.file.Check(commands, tui.BindKeys)
	return err
}

// commandName is what a command is called in the settings.
func commandName(c *cobra.Command) string {
	if !c.HasParent() {
		return preferences.Dashboard
	}
	if c.Parent().HasParent() {
		return commandName(c.Parent()) + " " + c.Name()
	}
	return c.Name()
}

// commandFlags adds the flags of a command and those below it.
func commandFlags(c *cobra.Command, to map[string]*pflag.FlagSet) {
	if c.Hidden {
		return
	}
	c.InheritedFlags() // adds those of its parents
	if name := commandName(c); !slices.Contains(spared, name) {
		to[name] = c.Flags()
	}
	for _, sub := range c.Commands() {
		commandFlags(sub, to)
	}
}

// blame adds to an error that names flags where the settings say them.
func (p *preferred) blame(err error) error {
	if p.file == nil {
		return err
	}
	return p.file.Blame(err, p.set)
}

// remembered is where the dashboard keeps what was chosen last.
func remembered() *preferences.Memory {
	return preferences.NewMemory(filepath.Join(session.StateDir(), "remembered.json"))
}

// prefer gives a dashboard what the operator prefers and chose last.
func (p *preferred) prefer(o tui.Options, screen screenFlags) tui.Options {
	o.Theme, o.Window, o.Keys = p.file.Theme, p.file.Window, p.keys
	if screen.theme != "" {
		o.Theme = screen.named()
	}
	o.Window = cmp.Or(screen.window, o.Window)
	if n := len(p.file.Unknown); n > 0 {
		o.Notice = p.file.Unknown[0].Error()
		if n > 1 {
			o.Notice += " (and " + strconv.Itoa(n-1) + " more: jouletop config)"
		}
	}
	if !p.file.Remember {
		return o
	}
	m := remembered()
	typed, err := m.Load()
	if err != nil {
		o.Notice = cmp.Or(o.Notice, "nothing remembered: "+err.Error())
	}
	o.Typed = typed
	if err == nil || preferences.Damaged(err) {
		o.Keep = m.Keep
	}
	return o
}

// screenFlags say how the dashboard looks.
type screenFlags struct{ theme, window string }

func (s *screenFlags) add(f *pflag.FlagSet) {
	f.StringVar(&s.theme, "theme", "", "`theme`: auto (as the terminal asks for), dark, light, dark16, light16 or plain")
	f.StringVar(&s.window, "window", "", "`length` of the live charts: 2s, 10s, 1m, 10m or session")
}

// named is the theme that was asked for; "" for the terminal's.
func (s screenFlags) named() theme.Name {
	if s.theme == "auto" {
		return ""
	}
	return theme.Name(s.theme)
}

func (s screenFlags) check() error {
	if s.theme != "" && s.named() != "" && !slices.Contains(theme.Names, s.named()) {
		return usage.Errorf("--theme %q: want one of %s, or auto", s.theme, joinNames(theme.Names))
	}
	if s.window != "" && !slices.Contains(view.WindowNames, s.window) {
		return usage.Errorf("--window %q: want one of %s", s.window, joinNames(view.WindowNames))
	}
	return nil
}

func newConfig(prefs *preferred) *cobra.Command {
	var template bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Settings: what holds and from where, or a file to begin with",
		Long: `Print what holds of the settings in config.toml, and from where each comes: the
file, what the dashboard remembers of the last time, or the default. --template prints
a file that has every setting and every key in it, commented out:

  jouletop config --template >` + session.ShortenHome(configPath()) + `

A flag on the command line comes before the environment (NO_COLOR; JOULETOP_CONFIG
names the file), that before config.toml, that before what is remembered, and that
before the default. The file is never written by the program.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if template {
				return preferences.WriteTemplate(os.Stdout, tui.KeyGroups())
			}
			if err := prefs.read(cmd.Root()); err != nil {
				return err
			}
			typed, err := remembered().Load()
			return prefs.file.Write(os.Stdout, session.ShortenHome(configPath()), tui.KeyGroups(), preferences.Kept{Typed: typed, Err: err})
		},
	}
	c.Flags().BoolVar(&template, "template", false, "print a file to begin with")
	return c
}
