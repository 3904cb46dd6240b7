package datasets

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is the longest text field taken, in bytes: about 128 thousand tokens,
// the longest context of common models. A longer one makes its row a bad row.
const MaxText = 512 << 10

// maxRecord bounds what is kept of one record while reading it, in bytes. It is
// far above MaxText because exports of NarrativeQA carry the whole book beside
// its summary.
const maxRecord = 8 << 20

// row is one record of a file, whatever its format: fields by name, those of
// nested objects with dotted names ("document.summary.text"). Values are
// string, bool, json.Number, int64, float64, []any, or nil.
type row struct {
	fields map[string]any
	// untyped: the format has only text, so "True" is a bool and "a; b" a list.
	untyped bool
	number  int // 1-based among the records of the file, bad ones included
	line    int // 1-based line where it starts; 0 in Parquet
}

// lookup returns the first of names that the row has, and its value.
func (r row) lookup(names []string) (name string, v any, err error) {
	for _, n := range names {
		if v, ok := r.fields[n]; ok && v != nil {
			return n, v, nil
		}
	}
	for _, n := range names {
		if _, ok := r.fields[n]; ok {
			return n, nil, fmt.Errorf("field %q is null", n)
		}
	}
	return "", nil, fmt.Errorf("field %q is missing", names[0])
}

func (r row) has(names ...string) bool {
	for _, n := range names {
		if _, ok := r.fields[n]; ok {
			return true
		}
	}
	return false
}

// text returns a field that must hold text; names are alternatives.
func (r row) text(names ...string) (string, error) {
	n, v, err := r.lookup(names)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("field %q is %s, not a text", n, kind(v))
	}
	return s, checkText(n, s)
}

// mayBeEmpty is text that must be there, but may be empty.
func (r row) mayBeEmpty(name string) (string, error) {
	if r.fields[name] == "" {
		return "", nil
	}
	return r.text(name)
}

// optional is text that may be missing or empty.
func (r row) optional(names ...string) (string, error) {
	_, v, err := r.lookup(names)
	if err != nil || v == "" {
		return "", nil
	}
	return r.text(names...)
}

func checkText(name, s string) error {
	switch {
	case len(s) > MaxText:
		return fmt.Errorf("field %q has %d bytes, more than the %d that a text may have", name, len(s), MaxText)
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("field %q is empty", name)
	case !utf8.ValidString(s):
		return fmt.Errorf("field %q is not valid UTF-8", name)
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("field %q holds a NUL character", name)
	}
	return nil
}

// items returns a field that holds one text or several, also where the list is
// written as text. Where semicolons is set, a text that is no list is one of
// texts between semicolons.
func (r row) items(names []string, semicolons bool) (name string, items []any, err error) {
	n, v, err := r.lookup(names)
	if err != nil {
		return n, nil, err
	}
	switch v := v.(type) {
	case []any:
		return n, v, nil
	case string:
		list, ok, err := textList(v)
		switch {
		case err != nil:
			return n, nil, fmt.Errorf("field %q is %w", n, err)
		case ok:
			return n, list, nil
		case !semicolons:
			return n, []any{v}, nil
		}
		for s := range strings.SplitSeq(v, ";") {
			if s = strings.TrimSpace(s); s != "" {
				items = append(items, s)
			}
		}
		return n, items, nil
	}
	return n, nil, fmt.Errorf("field %q is %s, not a list of texts", n, kind(v))
}

// texts returns a field that holds one text or several, each of which counts. In
// an untyped format ";" separates them.
func (r row) texts(names ...string) ([]string, error) {
	n, items, err := r.items(names, r.untyped)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, item := range items {
		s, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("field %q: item %d is %s, not a text", n, i+1, kind(item))
		}
		if err := checkText(n, s); err != nil {
			return nil, fmt.Errorf("%w (item %d)", err, i+1)
		}
		out = append(out, strings.TrimSpace(s))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("field %q is an empty list", n)
	}
	return out, nil
}

// answers returns a field that holds one answer or several, of which empty ones
// (the hub's TruthfulQA has some) and repetitions are left out but one must
// remain. Where semicolons is set, they separate answers in an untyped format.
func (r row) answers(semicolons bool, names ...string) ([]string, error) {
	n, items, err := r.items(names, r.untyped && semicolons)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(items), func(v any) bool {
		s, ok := v.(string)
		return v == nil || ok && strings.TrimSpace(s) == ""
	})
	if len(kept) == 0 && len(items) > 0 {
		return nil, fmt.Errorf("field %q is empty", n)
	}
	all, err := row{fields: map[string]any{n: kept}}.texts(n)
	if err != nil {
		return nil, err
	}
	return distinct(all[0], all[1:]...), nil
}

// boolean returns a field that must hold true or false, as a boolean, a text
// ("True", "no") or 1 and 0.
func (r row) boolean(names ...string) (bool, error) {
	n, v, err := r.lookup(names)
	if err != nil {
		return false, err
	}
	var text string
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		text = strings.ToLower(strings.TrimSpace(v))
	case json.Number:
		text = v.String()
	case int64, float64:
		text = fmt.Sprint(v)
	default:
		return false, fmt.Errorf("field %q is %s, neither true nor false", n, kind(v))
	}
	switch text {
	case "true", "yes", "1", "1.0":
		return true, nil
	case "false", "no", "0", "0.0":
		return false, nil
	}
	return false, fmt.Errorf("field %q is %q, neither true nor false", n, clip(text))
}

// integer returns a field that must hold a whole number, or digits in a text
// (as the hub has HellaSwag's labels).
func (r row) integer(names ...string) (int, error) {
	n, v, err := r.lookup(names)
	if err != nil {
		return 0, err
	}
	var digits string
	switch v := v.(type) {
	case int64:
		digits = strconv.FormatInt(v, 10)
	case json.Number:
		digits = v.String()
	case string:
		if digits = strings.TrimSpace(v); digits == "" {
			return 0, fmt.Errorf("field %q is empty", n)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return int(v), nil
		}
		return 0, fmt.Errorf("field %q is %v, not a whole number", n, v)
	default:
		return 0, fmt.Errorf("field %q is %s, not a whole number", n, kind(v))
	}
	i, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("field %q is %q, not a whole number", n, clip(digits))
	}
	return i, nil
}

func kind(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "a boolean"
	case json.Number, int64, float64:
		return "a number"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	return "an object"
}

// clip makes a value fit into an error message: short, on one line.
func clip(s string) string {
	return clipTo(s, 40)
}

func clipTo(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
