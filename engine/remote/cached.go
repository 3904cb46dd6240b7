package remote

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Headers by which caches before a server tell that they answered. What is said
// of prefixes of a prompt is the server's own.
var (
	cacheHeader = regexp.MustCompile(`(?i)cache`)
	otherCache  = regexp.MustCompile(`(?i)control|prompt|prefix|kv`)
	cacheHit    = regexp.MustCompile(`(?i)(^|[^a-z])hit($|[^a-z])`)
)

// cachedBy is the header by which an answer is one of a cache; "" if it is none.
func cachedBy(h http.Header) string {
	var found []string
	for name, values := range h {
		if !cacheHeader.MatchString(name) || otherCache.MatchString(name) {
			continue
		}
		for _, v := range values {
			if cacheHit.MatchString(v) || cacheHit.MatchString(name) && strings.EqualFold(v, "true") {
				found = append(found, name+": "+v)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}

// Names of counts of tokens that were found in a cache, and of what else is told of
// one: what was written to it, not found in it, lies in it (llama-server's
// tokens_cached), or what that saved.
var (
	cachedTokens = regexp.MustCompile(`(?i)cach.*tok|tok.*cach|^(num_?)?(cached|cache_?read|cache_?hit|cache_n)$`)
	otherTokens  = regexp.MustCompile(`(?i)uncach|non_?cach|not_?cach|creat|writ|miss|stor|left|total|rate|ratio|percent|cost|price|discount|^tokens_?cached$`)
	isCached     = regexp.MustCompile(`(?i)^(is_?|served_?|from_?)*cached?(_?hit|_?status)?$`)
)

// cacheWord is what a server says in an answer of what it had in a cache.
type cacheWord struct {
	tokens int    // of the prompt; -1 not given
	hit    string // the field by which the answer, or some of it, is from a cache; "" none
}

// cacheOf reads it out of an answer, or of a chunk of one: at its top or in an
// object in it, but for what its choices say.
func cacheOf(data []byte) cacheWord {
	w := cacheWord{tokens: -1}
	if bytes.Contains(data, []byte("cach")) || bytes.Contains(data, []byte("Cach")) {
		const deepest = 3
		w.look(data, deepest)
	}
	return w
}

func (w *cacheWord) look(data []byte, depth int) {
	var form map[string]json.RawMessage
	if depth < 0 || !bytes.HasPrefix(data, []byte("{")) || json.Unmarshal(data, &form) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		raw := form[name]
		switch {
		case name == "choices":
		case bytes.HasPrefix(raw, []byte("{")):
			w.look(raw, depth-1)
		case cachedTokens.MatchString(name) && !otherTokens.MatchString(name) && tokenCount(raw) >= 0:
			w.tokens = max(w.tokens, tokenCount(raw))
		case isCached.MatchString(name) && (string(raw) == "true" || bytes.HasPrefix(raw, []byte(`"`)) && cacheHit.Match(raw)):
			w.hit = name
		}
	}
}
