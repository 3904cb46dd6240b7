// Package session keeps a run on disk and reads it back: one folder of plain
// CSV files (RFC 4180, a header line, UTF-8), two files of JSON lines and a
// manifest. [Recorder] writes one while the run goes on, [Open] reads one.
//
// The manifest is written first and rewritten atomically; a folder without one
// is not a session. Everything else is appended and flushed at least once a
// second, a row a line: text never contains a line end. After a crash every
// complete line is valid; a last line without its end is torn, ignored by the
// reader and cut off by [Resume]. A point's row is written only once its requests
// and phases are.
//
// Text that a spreadsheet would take for a formula has an apostrophe before it;
// the reader takes it off again.
//
// Whoever writes holds the folder's lock. Only regular files are read or written,
// and no link is followed.
//
// An empty cell is unknown. A column that the reader does not know is passed
// over, a missing one reads as unknown, unless the row makes no sense without.
package session

import "errors"

// Names of the files in a session folder.
const (
	ManifestFile   = "manifest.json"
	SamplesFile    = "samples.csv"
	PowerFile      = "power.csv"
	HostFile       = "host.csv" // where the machine around the GPUs tells what it draws
	PhasesFile     = "phases.csv"
	IterationsFile = "iterations.csv" // where a model served requests
	RequestsFile   = "requests.csv"
	ClocksFile     = "clocks.csv"
	PointsFile     = "points.csv"
	OutputsFile    = "outputs.jsonl"
	EventsFile     = "events.jsonl"
)

// Errors that a caller decides by; wrapped with the place.
var (
	// ErrNotSession: the folder is missing or has no manifest.
	ErrNotSession = errors.New("not a session")
	// ErrSchema: the session was written by a newer or unknown program version.
	ErrSchema = errors.New("unknown session schema")
	// ErrExists: the folder already holds a session (or other files).
	ErrExists = errors.New("folder is not empty")
	// ErrDamaged: a file is there and cannot be what it should be.
	ErrDamaged = errors.New("damaged")
	// ErrRow: a row does not parse; a *RowError names it.
	ErrRow = errors.New("bad row")
	// ErrInUse: another program is recording into the folder.
	ErrInUse = errors.New("session is being recorded by another program")
	// ErrRecord: not everything could be written: the disk is full, or broken.
	ErrRecord = errors.New("recording failed")
)
