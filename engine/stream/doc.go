// Package stream carries everything that happens in a run from who finds it out to
// who wants to know, and says what is delivered to whom: see [Stream].
package stream
