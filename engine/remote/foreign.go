package remote

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// cleaner makes a text that came from outside fit to be shown and kept: one
// line, without the key, without what steers a terminal.
type cleaner struct {
	key    string
	secret *regexp.Regexp // the key, as it is and as addresses and JSON have it; nil without one
}

func newCleaner(key string) cleaner {
	if key == "" {
		return cleaner{}
	}
	quoted, _ := json.Marshal(key) // of a string: cannot fail
	var forms []string
	for _, form := range []string{key, url.QueryEscape(key), url.PathEscape(key), strings.Trim(string(quoted), `"`), strings.ReplaceAll(key, "/", `\/`)} {
		forms = append(forms, regexp.QuoteMeta(form))
	}
	return cleaner{key, regexp.MustCompile("(?i)" + strings.Join(forms, "|"))}
}

// Bounds on a foreign text that is shown, in runes, and on how much of a key
// may be left at its end.
const (
	maxShown   = 300
	minKeyPart = 6
)

// clean is for every foreign text, before anything else cuts it.
func (c cleaner) clean(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if c.secret != nil {
		text = c.cutEnd(c.secret.ReplaceAllLiteralString(text, "***"))
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsSpace(r) && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return '�'
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
	if r := []rune(text); len(r) > maxShown {
		text = string(r[:maxShown]) + "…"
	}
	return text
}

// cutEnd masks the beginning of the key at the end of a text: what was read of
// it may have ended there.
func (c cleaner) cutEnd(text string) string {
	for n := len(c.key) - 1; n >= minKeyPart; n-- {
		if at := len(text) - n; at >= 0 && strings.EqualFold(text[at:], c.key[:n]) {
			return text[:at] + "***"
		}
	}
	return text
}

// failure is what a server says of an error, in the forms that are about:
// {"error":{"message":…}}, {"error":"…"}, {"message":…}, {"detail":…}.
type failure struct {
	Error   json.RawMessage `json:"error"`
	Message json.RawMessage `json:"message"`
	Detail  json.RawMessage `json:"detail"`
}

func (f failure) text() string {
	for _, raw := range []json.RawMessage{f.Error, f.Detail, f.Message} {
		if s := messageOf(raw); s != "" {
			return s
		}
	}
	return ""
}

// errorText finds the message in the body of an error, which may be text alone.
// Like messageOf it returns a foreign text: clean it.
func errorText(body []byte) string {
	var form failure
	if json.Unmarshal(body, &form) == nil {
		if s := form.text(); s != "" {
			return s
		}
	}
	return string(body)
}

func messageOf(raw json.RawMessage) string {
	var inner struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &inner) == nil && inner.Message != "" {
		return inner.Message
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "{}", "[]", "false", "0": // in every chunk of some servers
		return ""
	}
	return string(raw)
}
