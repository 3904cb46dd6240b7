package features

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/biter777/countries"
	"github.com/brianvoe/gofakeit/v7/data"
	"github.com/kljensen/snowball/english"
	"github.com/sethvargo/go-diceware/diceware"
)

//go:embed lists/*.txt
var listFiles embed.FS

// label is an entity's type; noLabel marks a name that is no entity.
type label string

// The four entity types that count, after OntoNotes.
const (
	person  label = "PERSON"
	org     label = "ORG"
	gpe     label = "GPE"
	loc     label = "LOC"
	noLabel label = ""
)

// name is what the gazetteer knows of a name.
type name struct {
	label label
	// ambiguous: also a common word or a person's name, so that the context
	// decides.
	ambiguous bool
}

// maxNameTokens bounds the gazetteer's look-ups: no listed name is longer.
const maxNameTokens = 6

// gazetteer holds the names and cue words; immutable once loaded.
type gazetteer struct {
	names      map[string]name // as written
	lower      map[string]name // the unambiguous ones in lower case
	firstNames map[string]bool
	lastNames  map[string]bool
	demonyms   map[string]bool
	common     []string                   // stems of common English words, sorted
	cues       map[string]map[string]bool // class -> lower-case words
}

// ambiguousNames are names from the libraries' lists that are first of all
// something else.
var ambiguousNames = []string{
	"Male", "Victoria", "Stanley", "Douglas", "Hamilton", "Kingston", "Jamestown",
	"Madison", "Lincoln", "Aurora", "Orlando", "Henderson", "Chandler", "Irvine",
	"Mobile", "Reading", "Phoenix", "Buffalo", "Victoria", "Niue", "Jersey",
	"Garland", "Anchorage", "Norfolk", "Chesapeake", "Laredo", "Plano", "Gilbert",
	"Washington", "Jordan", "Chad", "Georgia", "Austin", "Houston", "Dallas", "Jackson",
}

// lowerNever are names that in lower case are plain words.
var lowerNever = []string{
	"us", "who", "eu", "turkey", "china", "chad", "jordan", "guinea", "mali",
	"niger", "togo", "oman", "congress", "parliament", "senate", "commonwealth",
	"labour", "guardian", "cubs", "bulls", "warriors", "cowboys", "patriots",
	"raiders", "celtics", "packers", "sears", "dell", "intel", "nirvana", "hague",
	"york", "dover", "derry", "hudson", "salem", "america", "java", "mercury",
	"mars", "earth", "venus", "arctic", "columbia", "highlands", "ford", "abc",
	"amazon", "east coast", "west coast", "levant", "sec", "ups", "boxer", "may",
	"limerick", "calais", "kent", "alps", "cali", "grand rapids", "little rock",
	"el paso", "fiat", "saab", "canon", "merck", "chelsea", "arsenal", "apple",
	"united nations", "bronx", "peoria",
}

// loadGazetteer reads the libraries' names and the embedded lists.
func loadGazetteer() (*gazetteer, error) {
	g := &gazetteer{
		names:      make(map[string]name, 4096),
		lower:      make(map[string]name, 2048),
		firstNames: make(map[string]bool, 2048),
		lastNames:  make(map[string]bool, 1024),
		demonyms:   make(map[string]bool, 512),
		common:     commonStems(),
		cues:       make(map[string]map[string]bool),
	}
	for _, n := range data.Person["first"] {
		g.firstNames[n] = true
	}
	for _, n := range data.Person["last"] {
		g.lastNames[n] = true
	}
	for _, k := range []string{"actor", "business", "sport"} {
		for _, n := range data.Celebrity[k] {
			g.addFullName(n)
		}
	}
	for _, k := range []string{"city", "state", "country"} {
		for _, n := range data.Address[k] {
			g.add(n, name{label: gpe})
		}
	}
	for _, c := range countries.All() {
		// "Moldova (Republic of)": the part before the bracket is the name.
		n, _, _ := strings.Cut(c.String(), " (")
		g.add(n, name{label: gpe})
		if capital := c.Capital().String(); capital != "None" && capital != "Unknown" {
			g.add(capital, name{label: gpe})
		}
	}
	for _, n := range ambiguousNames {
		if had, ok := g.names[n]; ok {
			g.names[n] = name{label: had.label, ambiguous: true}
		}
	}
	// Later lists win: "Amazon" is first of all a company, "Mars" a planet.
	for _, l := range []struct {
		file  string
		label label
	}{{"places.txt", gpe}, {"locations.txt", loc}, {"organizations.txt", org}} {
		lines, err := readList(l.file)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			n, ambiguous := strings.CutSuffix(line, "!")
			g.add(n, name{label: l.label, ambiguous: ambiguous})
		}
	}
	lines, err := readList("demonyms.txt")
	if err != nil {
		return nil, err
	}
	for _, w := range strings.Fields(strings.Join(lines, " ")) {
		g.demonyms[w] = true
	}
	if err := g.loadCues(); err != nil {
		return nil, err
	}
	g.indexLower()
	return g, nil
}

// commonStems are the stems of the common words that the diceware lists
// consist of, sorted. The older list holds abbreviations too, all of them short.
func commonStems() []string {
	var stems []string
	for _, list := range []diceware.WordList{diceware.WordListEffLarge(), diceware.WordListOriginal()} {
		for at := range rolls(list.Digits()) {
			if w := list.WordAt(at); len(w) >= 4 {
				stems = append(stems, english.Stem(w, true))
			}
		}
	}
	slices.Sort(stems)
	return slices.Clone(slices.Compact(stems))
}

// isCommon tells of a word whose stem is a common word's.
func (g *gazetteer) isCommon(word string) bool {
	_, found := slices.BinarySearch(g.common, english.Stem(strings.ToLower(word), true))
	return found
}

// rolls yields the numbers that so many dice can show: 11111 to 66666.
func rolls(dice int) func(func(int) bool) {
	return func(yield func(int) bool) {
		total := 1
		for range dice {
			total *= 6
		}
		for i := range total {
			at, scale := 0, 1
			for range dice {
				at += (i%6 + 1) * scale
				i, scale = i/6, scale*10
			}
			if !yield(at) {
				return
			}
		}
	}
}

func (g *gazetteer) add(n string, what name) {
	if n != "" && n != "Antarctica" || what.label == loc {
		g.names[n] = what
	}
}

// addFullName splits "Jeff Bezos" into a first and a last name.
func (g *gazetteer) addFullName(n string) {
	parts := strings.Fields(n)
	if len(parts) < 2 {
		return
	}
	if first := parts[0]; len(first) > 2 && !strings.HasSuffix(first, ".") && first != "Sir" {
		g.firstNames[first] = true
	}
	if last := parts[len(parts)-1]; len(last) > 3 && !strings.HasSuffix(last, ".") {
		g.lastNames[last] = true
	}
}

func (g *gazetteer) loadCues() error {
	lines, err := readList("cues.txt")
	if err != nil {
		return err
	}
	for _, line := range lines {
		class, words, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("features: cue line %q has no class", line)
		}
		set := g.cues[class]
		if set == nil {
			set = make(map[string]bool)
			g.cues[class] = set
		}
		for _, w := range strings.Fields(words) {
			set[w] = true
		}
	}
	return nil
}

// indexLower builds the look-up for text without capitals, such as BoolQ's
// questions.
func (g *gazetteer) indexLower() {
	for n, what := range g.names {
		if !what.ambiguous && len(n) > 2 {
			g.lower[strings.ToLower(n)] = what
		}
	}
	for _, n := range lowerNever {
		delete(g.lower, n)
	}
}

// readList returns a list's lines without blanks and comments.
func readList(file string) ([]string, error) {
	b, err := listFiles.ReadFile("lists/" + file)
	if err != nil {
		return nil, fmt.Errorf("features: read the list %s: %w", file, err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
