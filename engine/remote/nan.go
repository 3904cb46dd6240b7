package remote

import "bytes"

// withoutNaN puts null for the numbers that JSON does not have and some languages
// write: NaN, Infinity and -Infinity, outside of texts.
func withoutNaN(data []byte) []byte {
	var out []byte
	text := false
	for i := 0; i < len(data); {
		rest := data[i:]
		switch {
		case text && rest[0] == '\\' && len(rest) > 1:
			out, i = append(out, rest[:2]...), i+2
			continue
		case rest[0] == '"':
			text = !text
		case !text && (rest[0] == 'N' || rest[0] == 'I' || rest[0] == '-'):
			if n := notFinite(rest); n > 0 {
				out, i = append(out, "null"...), i+n
				continue
			}
		}
		out, i = append(out, rest[0]), i+1
	}
	return out
}

// notFinite is how long the number that is none is that data begins with; 0 if it is one.
func notFinite(data []byte) int {
	for _, name := range []string{"NaN", "Infinity", "-Infinity", "-NaN"} {
		if bytes.HasPrefix(data, []byte(name)) {
			return len(name)
		}
	}
	return 0
}
