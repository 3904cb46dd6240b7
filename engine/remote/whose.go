package remote

import (
	"fmt"
	"strings"
	"unicode"

	"jouletop/engine/event"
)

// answeredBy notes the model that a chunk says it is from. Gateways have stand-ins,
// and change them.
func (g *generation) answeredBy(name string) {
	if name == "" || name == g.model {
		return
	}
	first := g.firstToAnswer(name)
	switch {
	case g.model != "" || name != first:
		g.flag(event.FlagOtherModel)
		g.say(fmt.Sprintf("the server answers with one model and then with another, by its own word: %s, %s", g.clean(first), g.clean(name)))
	case !alike(name, g.name):
		g.flag(event.FlagOtherModel)
		g.say(fmt.Sprintf("%s was asked for, and the server says that %s answers: another name of it, or another model", g.clean(g.name), g.clean(name)))
	}
	g.model = name
}

// firstToAnswer is the name by which the model answered first since it was loaded.
func (b *Backend) firstToAnswer(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.model.answers == "" {
		b.model.answers = name
	}
	return b.model.answers
}

// alike tells whether two names may be of one model: they are the same but for where
// it lies, how it is written, and what one of them has more (a version, a date).
func alike(a, b string) bool {
	a, b = plainName(a), plainName(b)
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

func plainName(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".gguf")
	name = name[strings.LastIndexAny(name, `/\\`)+1:]
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, name)
}
