package remote

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// parseURL returns the address that paths such as /completions are joined to.
// Without a scheme it is https, but for a server of this network.
func parseURL(text string) (*url.URL, error) {
	bare := !strings.Contains(text, "://")
	if bare {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // its text may hold a secret
		return nil, errors.New("server address: want one like http://host:8000/v1")
	case u.User != nil:
		return nil, errors.New("server address: it holds a user name or password; give a key in JOULETOP_API_KEY instead")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("server address: scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("server address: no host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("server address: it ends in a query or fragment, want one like http://host:8000/v1")
	}
	if bare && !near(u.Hostname()) {
		u.Scheme = "https"
	}
	path := strings.TrimRight(u.Path, "/")
	for _, end := range []string{"/chat/completions", "/completions", "/models"} {
		path = strings.TrimSuffix(path, end)
	}
	if path == "" {
		path = "/v1"
	}
	u.Path, u.RawPath = path, ""
	return u, nil
}

// near tells whether a host is this one or of this network, as far as its name
// says: what is sent there without encryption crosses no other.
func near(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := strconv.ParseUint(host, 0, 64) // some resolvers take a number for an address
	return err != nil && !strings.Contains(host, ".")
}

// apiKey returns the key for a server. OpenAI's own goes nowhere that the
// environment does not name, and no key crosses other networks in the clear.
func apiKey(getenv func(string) string, base *url.URL) (string, error) {
	names := []string{"JOULETOP_API_KEY"}
	host := strings.ToLower(base.Hostname())
	own, err := parseURL(getenv("OPENAI_BASE_URL"))
	if host == "api.openai.com" || strings.HasSuffix(host, ".openai.com") ||
		err == nil && own.Scheme == base.Scheme && strings.EqualFold(own.Host, base.Host) {
		names = append(names, "OPENAI_API_KEY")
	}
	for _, name := range names {
		key := strings.TrimSpace(getenv(name)) // files and shells leave line ends
		switch {
		case key == "":
			continue
		case strings.ContainsFunc(key, unicode.IsControl):
			return "", fmt.Errorf("the key in %s has a line break or another control character in it", name)
		case base.Scheme == "http" && !near(host):
			return "", fmt.Errorf("server address: the key in %s would go to %s unencrypted: write https://, or leave the variable unset", name, base.Host)
		}
		return key, nil
	}
	return "", nil
}
