package datasets

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Programs that have only text for a cell write a list as their language shows
// it:
//
//	["a", "b"]                          JSON, Julia, Arrow
//	['a', "b's", None]                  Python: pandas' and the hub's to_csv
//	['a' 'b'\n 'c']                     NumPy: the same, of arrays
//	array(['a', 'b'], dtype=object)     NumPy
//	[np.str_('a'), np.str_('b')]        NumPy 2
//	('a', 'b')                          Python
//	c("a", "b"), list("a", "b")         R
//
// Lists whose items are not quoted, such as DuckDB's [a, b], cannot be read for
// sure; nor can {…}, which may be a set, an object or PostgreSQL's list.

var (
	errUnquoted = errors.New("a list written as text, whose items are not all quoted texts; write it as JSON")
	errObject   = errors.New("an object or a set written as text; write a list as JSON")
	errCut      = errors.New("a list written as text that was cut short; write it whole, as JSON")
)

// textList reads a list that is written as text. ok is false where s is none; an
// error says that it is one and cannot be read. Items are texts, or nil.
func textList(s string) (items []any, ok bool, err error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, false, nil
	}
	switch s[0] {
	case '[':
		if !strings.Contains(s, "]") && len(s) > 1 && (s[1] == '\'' || s[1] == '"') {
			return nil, true, errCut
		}
		if !strings.HasSuffix(s, "]") {
			return nil, false, nil // "[sic] he said"
		}
		items, rest, err := listItems(s[1:], ']')
		if err == nil && rest != "" {
			items, err = nil, errUnquoted
		}
		if err != nil && !strings.ContainsAny(s, `'"`) && strings.IndexByte(s, ']') < len(s)-1 {
			return nil, false, nil // "[he] and [she]"
		}
		return items, true, err
	case '{':
		if strings.HasSuffix(s, "}") {
			return nil, true, errObject
		}
	case '<':
		if strings.Contains(s, "Array>") {
			return nil, true, errUnquoted
		}
	}
	name, list, call := strings.Cut(s, "(")
	if !call || !strings.HasSuffix(s, ")") {
		return nil, false, nil
	}
	list = strings.TrimSpace(list)
	quoted := list != "" && (list[0] == '\'' || list[0] == '"')
	switch name {
	case "array", "np.array", "numpy.array":
		if !strings.HasPrefix(list, "[") {
			return nil, true, errUnquoted
		}
		items, rest, err := listItems(list[1:], ']')
		if rest = strings.TrimSpace(rest); err == nil && rest != ")" && !strings.HasPrefix(rest, ",") {
			items, err = nil, errUnquoted
		}
		return items, true, err
	case "", "c", "list":
		if !quoted {
			return nil, false, nil
		}
		// ("So be it," he said.) is a text that begins with a quotation.
		items, rest, err := listItems(list, ')')
		switch {
		case errors.Is(err, errCut):
			return nil, true, err
		case err != nil || rest != "":
			return nil, false, nil
		}
		return items, true, nil
	}
	return nil, false, nil
}

// listItems reads quoted items, with or without commas between, up to the end
// mark; rest is what follows that.
func listItems(s string, end byte) (items []any, rest string, err error) {
	const blank = " \t\r\n"
	for comma := true; ; {
		s = strings.TrimLeft(s, blank)
		switch {
		case s == "":
			return nil, "", errUnquoted
		case s[0] == end:
			return items, strings.TrimSpace(s[1:]), nil
		case s[0] == ',' && !comma:
			s, comma = s[1:], true
			continue
		case strings.HasPrefix(s, "..."), strings.HasPrefix(s, "…"):
			return nil, "", errCut
		}
		item, left, err := listItem(s)
		if err != nil {
			return nil, "", err
		}
		items, s, comma = append(items, item), left, false
	}
}

// listItem reads the item that s begins with.
func listItem(s string) (item any, rest string, err error) {
	for _, none := range []string{"None", "null", "nan", "NaN", "NA", "NULL", "<NA>"} {
		if after, ok := strings.CutPrefix(s, none); ok && (after == "" || strings.ContainsRune(" \t\r\n,])", rune(after[0]))) {
			return nil, after, nil
		}
	}
	if after, ok := strings.CutPrefix(s, "np.str_("); ok {
		item, after, err := quotedText(after)
		if err != nil || !strings.HasPrefix(after, ")") {
			return nil, "", errUnquoted
		}
		return item, after[1:], nil
	}
	if s[0] == '{' {
		return nil, "", errObject
	}
	return quotedText(s)
}

// quotedText reads a text in quotes, with the escapes of Python, JSON and R.
func quotedText(s string) (text any, rest string, err error) {
	if len(s) > 1 && (s[0] == 'u' || s[0] == 'b') && (s[1] == '\'' || s[1] == '"') {
		s = s[1:]
	}
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return nil, "", errUnquoted
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case quote:
			return b.String(), s[i+1:], nil
		case '\\':
			n, err := unescape(&b, s[i+1:])
			if err != nil {
				return nil, "", err
			}
			i += n
		default:
			b.WriteByte(s[i])
		}
	}
	return nil, "", errUnquoted
}

// unescape writes what an escape, whose backslash is gone, stands for and tells
// how long it is.
func unescape(b *strings.Builder, s string) (n int, err error) {
	if s == "" {
		return 0, errUnquoted
	}
	const letters, meanings = "nrtbfav0", "\n\r\t\b\f\a\v\x00"
	if i := strings.IndexByte(letters, s[0]); i >= 0 {
		b.WriteByte(meanings[i])
		return 1, nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if digits == 0 {
		b.WriteByte(s[0]) // a quote, a backslash, JSON's slash
		return 1, nil
	}
	r, err := hexRune(s, 1, digits)
	if err != nil {
		return 0, err
	}
	n = 1 + digits
	if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(s[n:], `\u`) { // JSON's pairs
		if low, err := hexRune(s, n+2, 4); err == nil && low >= 0xdc00 && low < 0xe000 {
			r, n = 0x10000+(r-0xd800)<<10+(low-0xdc00), n+6
		}
	}
	if !utf8.ValidRune(r) {
		return 0, fmt.Errorf("%q is no character", clip(`\`+s[:n]))
	}
	b.WriteRune(r)
	return n, nil
}

func hexRune(s string, at, digits int) (rune, error) {
	if len(s) < at+digits {
		return 0, errUnquoted
	}
	r, err := strconv.ParseUint(s[at:at+digits], 16, 31)
	if err != nil {
		return 0, errUnquoted
	}
	return rune(r), nil
}
