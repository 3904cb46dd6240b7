package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Servers and proxies that stream a token at a time cut letters in two: in the
// middle of its UTF-8, or between the surrogates of a language whose texts are
// UTF-16. A decoder of JSON makes U+FFFD of each half; here the halves are kept
// until both are there.

// wireText is a JSON text whose half letters are kept: bytes as they are, lone
// surrogates as three bytes that no valid text has (WTF-8).
type wireText string

// UnmarshalJSON refuses what is neither a text nor null.
func (t *wireText) UnmarshalJSON(raw []byte) error {
	switch {
	case string(raw) == "null":
		return nil
	case !bytes.HasPrefix(raw, []byte(`"`)):
		return fmt.Errorf("a text that is none")
	}
	if utf8.Valid(raw) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) {
		return json.Unmarshal(raw, (*string)(t))
	}
	*t = wireText(unquote(raw[1 : len(raw)-1]))
	return nil
}

// unquote is what stands between the quotation marks of a valid JSON text.
func unquote(in []byte) string {
	out := make([]byte, 0, len(in))
	hex := func(at int) (rune, bool) { // of an escape \uXXXX
		if at+6 > len(in) || in[at] != '\\' || in[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(in[at+2:at+6]), 16, 16)
		return rune(n), err == nil
	}
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' || i+1 == len(in) {
			out = append(out, in[i])
			continue
		}
		r, isHex := hex(i)
		switch {
		case !isHex:
			i++
			c := in[i]
			if at := strings.IndexByte("bfnrt", c); at >= 0 {
				c = "\b\f\n\r\t"[at]
			}
			out = append(out, c)
			continue
		case utf16.IsSurrogate(r):
			low, ok := hex(i + 6)
			if both := utf16.DecodeRune(r, low); ok && both != utf8.RuneError {
				out = utf8.AppendRune(out, both)
				i += 6
			} else {
				out = append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
			}
		default:
			out = utf8.AppendRune(out, r)
		}
		i += 5
	}
	return string(out)
}

// surrogate is the one that s begins with, as wireText keeps it; 0 if none.
func surrogate(s string) rune {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F)
}

// wholeLetters joins halves of letters in s, and leaves out the half, if any, that
// it ends with. Halves that nothing belongs to are U+FFFD.
func wholeLetters(s string) (whole, half string) {
	if utf8.ValidString(s) {
		return s, ""
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if high := surrogate(s); high != 0 {
			n = 3
			if len(s) == 3 && high < 0xDC00 {
				return b.String(), s
			}
			if r = utf16.DecodeRune(high, surrogate(s[3:])); r != utf8.RuneError {
				n = 6
			}
		} else if r == utf8.RuneError && n == 1 && !utf8.FullRuneInString(s) {
			return b.String(), s
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String(), ""
}
