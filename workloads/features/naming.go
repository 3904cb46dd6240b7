package features

import (
	"strings"
)

func (r *recognizer) is(class, lower string) bool { return r.g.cues[class][lower] }

// resolve cuts the run i to j into entities and what is none.
func (r *recognizer) resolve(d *document, i, j, end int) {
	titled := false
	p := i
	for p < j {
		if k, what := r.listed(d, p, j); k > 0 && r.accept(d, p, k, j, what, titled) {
			d.emit(p, k, r.listedLabel(d, p, k, what, titled))
			p, titled = k, false
			continue
		}
		w := d.tokens[p].Text
		lower := strings.ToLower(w)
		switch {
		case r.is("title", strings.TrimSuffix(lower, ".")) && r.titleHere(d, p, j):
			titled = true
		case isJoint(w):
			// "President of France": what follows is no person.
			titled = false
			if _, what := r.listed(d, p+1, j); what.label == noLabel && w == "of" && p > i {
				return
			}
		case r.isFunction(d, p, j, lower):
			titled = false
		case r.isUncounted(d, p, j, lower):
			titled = false
		default:
			r.rest(d, p, j, end, titled)
			return
		}
		p++
	}
}

// isFunction tells a word that is capitalised for its place alone.
func (r *recognizer) isFunction(d *document, p, j int, lower string) bool {
	if lower == "i" || len(lower) == 1 && p+1 == j {
		return true
	}
	if !r.is("function", lower) {
		return d.start[p] && !strings.HasPrefix(d.tokens[p].Tag, "NNP") &&
			!r.g.firstNames[d.tokens[p].Text] && !d.capitalisedElsewhere(d.tokens[p].Text)
	}
	// "Will" and "May" are names too, but only within a sentence or before
	// another name.
	if !d.start[p] && r.g.firstNames[d.tokens[p].Text] {
		return false
	}
	return d.start[p] || lower != "will"
}

// isUncounted tells a capitalised word that is no entity of the four types:
// nationalities, months, numerals. "May Parker" is a person all the same.
func (r *recognizer) isUncounted(d *document, p, j int, lower string) bool {
	w := d.tokens[p].Text
	if r.orgEnds(d, p, j) {
		return false
	}
	return r.g.demonyms[w] || isRoman(w) || r.is("other", lower) && !(r.g.firstNames[w] && p+1 < j)
}

// titleHere: a title stands before a name, or alone; "Major League" is none.
func (r *recognizer) titleHere(d *document, p, j int) bool {
	return !r.orgEnds(d, p, j) && !(p+1 < j && d.tokens[p+1].Text == "'s")
}

func (r *recognizer) orgEnds(d *document, p, j int) bool {
	return j-p >= 2 && r.is("orgend", strings.ToLower(d.tokens[j-1].Text))
}

// listed returns the end of the longest listed name that begins at p; 0 if
// none does.
func (r *recognizer) listed(d *document, p, j int) (int, name) {
	limit := min(p+maxNameTokens, len(d.tokens))
	// A possessive belongs to some names: "McDonald's".
	if j < limit && d.tokens[j].Text == "'s" {
		limit = j + 1
	} else {
		limit = min(limit, j)
	}
	for k := limit; k > p; k-- {
		if what, ok := r.g.names[d.span(p, k)]; ok {
			return k, what
		}
	}
	return 0, name{}
}

// accept tells whether the listed name p to k stands for itself rather than
// being part of a longer one ("London Bridge", "Washington Irving").
func (r *recognizer) accept(d *document, p, k, j int, what name, titled bool) bool {
	if titled && k-p == 1 && k == j {
		return what.label == person
	}
	if k >= j {
		if !what.ambiguous {
			return true
		}
		if d.start[p] && !strings.HasPrefix(d.tokens[p].Tag, "NNP") {
			return false
		}
		if what.label == org || k-p > 1 {
			return true
		}
		return r.placeContext(d, p, k) || !r.g.firstNames[d.tokens[p].Text]
	}
	last := strings.ToLower(d.tokens[j-1].Text)
	if r.is("orgend", last) || r.is("otherend", last) || r.is("locend", last) || r.is("gpeend", last) {
		return false
	}
	if k-p >= 2 {
		return !r.teamOf(d, p, j)
	}
	// One listed word and more: it stands alone before a title, a joint or
	// another listed name ("US President …", "France and Germany"), otherwise
	// the whole is a name of its own ("Nile Rodgers").
	next := d.tokens[k].Text
	if what.ambiguous || what.label == org {
		return false
	}
	if isJoint(next) || r.is("title", strings.ToLower(next)) {
		return true
	}
	m, after := r.listed(d, k, j)
	return m > 0 && after.label != org
}

func (r *recognizer) listedLabel(d *document, p, k int, what name, titled bool) label {
	if titled && what.label != org {
		return person
	}
	if what.ambiguous && what.label == gpe && !r.placeContext(d, p, k) && r.g.firstNames[d.tokens[p].Text] {
		return person
	}
	return what.label
}

// placeContext tells whether a place is likely: a preposition before, or a
// comma and another listed place after.
func (r *recognizer) placeContext(d *document, p, k int) bool {
	if p > 0 && !d.start[p] {
		if prev := strings.ToLower(d.tokens[p-1].Text); r.is("placeprep", prev) {
			return true
		}
	}
	if k+1 < len(d.tokens) && d.tokens[k].Text == "," {
		what, ok := r.g.names[d.tokens[k+1].Text]
		return ok && what.label == gpe
	}
	return false
}

// rest types what is left of a run when its first word is neither listed nor
// stripped.
func (r *recognizer) rest(d *document, p, j, end int, titled bool) {
	first, last := strings.ToLower(d.tokens[p].Text), strings.ToLower(d.tokens[j-1].Text)
	n := j - p
	switch {
	case titled:
		d.emit(p, j, person)
	case n >= 2 && r.isOther(d, p, j, last):
	case n >= 2 && (r.headOf(d, p, j, "ofhead") || r.is("orgend", last) || r.schoolIn(d, p, j)):
		d.emit(p, j, org)
	case n >= 2 && r.headOf(d, p, j, "placeofhead"), n >= 2 && r.is("gpeend", last):
		d.emit(p, j, gpe)
	case n >= 2 && (r.is("locend", last) || r.is("locstart", first)):
		d.emit(p, j, loc)
	case n == 1:
		r.single(d, p, end)
	case afterThe(d, p) && !isAcronym(d.tokens[p].Text) && !r.teamOf(d, p, j):
		// "the PlayStation", "the Bill of Rights": a thing.
	case r.splitsAtOf(d, p, j, end):
	case r.teamOf(d, p, j):
		d.emit(p, j, org)
	case r.isPersonName(d, p, j):
		d.emit(p, j, person)
	case r.allCommon(d, p, j):
		// "Breaking Point": a title.
	case r.is("gpestart", first) && r.placeContext(d, p, j):
		d.emit(p, j, gpe)
	case isAcronym(d.tokens[p].Text):
		d.emit(p, j, org)
	case n <= 3 && r.placeContext(d, p, j):
		d.emit(p, j, gpe)
	case n <= 3:
		d.emit(p, j, person)
	default:
		d.emit(p, j, org)
	}
}

// isOther tells a building, a work, an event: a cue word at the end, or within
// a run that doesn't end as one of the four types does ("World Cup Qualifying").
func (r *recognizer) isOther(d *document, p, j int, last string) bool {
	if r.is("otherend", last) {
		return true
	}
	if r.is("orgend", last) || r.is("locend", last) || r.is("gpeend", last) {
		return false
	}
	for k := p + 1; k < j; k++ {
		if d.tokens[k-1].Text != "of" && r.is("otherend", strings.ToLower(d.tokens[k].Text)) {
			return true
		}
	}
	return false
}

// splitsAtOf handles a run with an "of" that belongs to no known kind of name.
// A person's name before it stands alone ("Eleanor of Aquitaine"); anything
// else is a document or a work ("Declaration of Independence").
func (r *recognizer) splitsAtOf(d *document, p, j, end int) bool {
	for k := p + 1; k+1 < j; k++ {
		if d.tokens[k].Text != "of" {
			continue
		}
		if r.g.firstNames[d.tokens[p].Text] {
			d.emit(p, k, person)
			q := k + 1
			if d.tokens[q].Text == "the" {
				q++
			}
			if m, what := r.listed(d, q, j); m > 0 {
				d.emit(q, m, what.label)
			}
		}
		return true
	}
	return false
}

// headOf tells whether a word of the class is followed by "of" or "for" in
// the run.
func (r *recognizer) headOf(d *document, p, j int, class string) bool {
	for k := p; k+1 < j; k++ {
		if next := d.tokens[k+1].Text; (next == "of" || next == "for") && r.is(class, strings.ToLower(d.tokens[k].Text)) {
			return true
		}
	}
	return false
}

// schoolIn tells "King's College London".
func (r *recognizer) schoolIn(d *document, p, j int) bool {
	for k := p + 1; k < j; k++ {
		switch d.tokens[k].Text {
		case "College", "University", "School", "Hospital", "Academy":
			return true
		}
	}
	return false
}

// teamOf tells a place with an organization's name ("Chicago Bulls").
func (r *recognizer) teamOf(d *document, p, j int) bool {
	k, place := r.listed(d, p, j-1)
	if k == 0 || place.label != gpe {
		return false
	}
	end, what := r.listed(d, k, j)
	return end == j && what.label == org
}

func (r *recognizer) isPersonName(d *document, p, j int) bool {
	return r.g.firstNames[d.tokens[p].Text] || r.g.lastNames[d.tokens[j-1].Text] || isInitial(d.tokens[p].Text)
}

// single types a run of one token that isn't listed.
func (r *recognizer) single(d *document, p, end int) {
	t := d.tokens[p]
	lower := strings.ToLower(t.Text)
	if r.is("orgend", lower) || r.is("otherend", lower) || r.is("locend", lower) ||
		r.is("ofhead", lower) || r.is("locstart", lower) || r.is("title", lower) || r.is("gpeend", lower) {
		return
	}
	if p > 0 && !d.start[p] && isNumber(d.tokens[p-1].Text) {
		return // ".22 Magnum"
	}
	nnp := strings.HasPrefix(t.Tag, "NNP")
	if d.start[p] && !r.g.firstNames[t.Text] && !d.capitalisedElsewhere(t.Text) {
		if !nnp || !namesSubject(d, p, end) {
			return
		}
	}
	switch {
	case !r.g.firstNames[t.Text] && !isAcronym(t.Text) && (afterThe(d, p) || r.allCommon(d, p, p+1) && !namesSubject(d, p, end)):
	case isAcronym(t.Text):
		// "(ROCD)" after common words abbreviates those.
		if p >= 2 && d.tokens[p-1].Text == "(" && !isCapitalised(d.tokens[p-2].Text) {
			return
		}
		d.emit(p, p+1, org)
	case r.g.firstNames[t.Text] && nnp, r.g.firstNames[t.Text] && !d.start[p]:
		d.emit(p, p+1, person)
	case r.unlistedPlace(d, p, end):
		d.emit(p, p+1, gpe)
	case nnp || t.Tag == "NN" || d.capitalisedElsewhere(t.Text):
		d.emit(p, p+1, person)
	}
}

// unlistedPlace tells whether a single unknown name is a place: "in" or its
// like before and no possessive after.
func (r *recognizer) unlistedPlace(d *document, p, end int) bool {
	if p+1 < end && d.tokens[p+1].Tag == "POS" {
		return false
	}
	if p > 0 && !d.start[p] && r.is("placein", strings.ToLower(d.tokens[p-1].Text)) {
		return true
	}
	return p+1 < end && d.tokens[p+1].Text == "," && r.placeContext(d, p, p+1)
}

// afterThe tells a run behind an article, where no person's name stands.
func afterThe(d *document, p int) bool {
	if p == 0 {
		return false
	}
	switch d.tokens[p-1].Text {
	case "the", "The", "a", "A", "an", "An":
		return true
	}
	return false
}

// allCommon tells a run of which every word is a common English one.
func (r *recognizer) allCommon(d *document, p, j int) bool {
	for k := p; k < j; k++ {
		if w := d.tokens[k].Text; !isRoman(w) && !isJoint(w) && !r.g.isCommon(w) {
			return false
		}
	}
	return true
}

// namesSubject tells whether the sentence's first word is followed as a name
// is: by a verb of the third person, a possessive, or a comma.
func namesSubject(d *document, p, end int) bool {
	if p+1 >= end {
		return false
	}
	next := d.tokens[p+1]
	switch next.Tag {
	case "VBZ", "VBD", "POS":
		return true
	}
	return next.Text == "and" && p+2 < end && isCapitalised(d.tokens[p+2].Text)
}

// capitalisedElsewhere tells whether the word is capitalised within a
// sentence of the same text.
func (d *document) capitalisedElsewhere(w string) bool {
	if d.midCap == nil {
		d.midCap = make(map[string]bool)
		for i, t := range d.tokens {
			if !d.start[i] && isCapitalised(t.Text) && strings.HasPrefix(t.Tag, "NNP") {
				d.midCap[t.Text] = true
			}
		}
	}
	return d.midCap[w]
}
