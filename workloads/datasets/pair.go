package datasets

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"path/filepath"
)

// Names of NarrativeQA's two files as published.
const (
	questionsFile = "qaps.csv"
	summariesFile = "summaries.csv"
)

// maxBadSummaries bounds how many bad summaries are kept to be named.
const maxBadSummaries = 10_000

// pairRows joins NarrativeQA's two published files: each row of the questions
// gets the summary of its document. Of the summaries only where each starts is
// kept in memory (16 bytes a document); questions of one document follow each
// other, so each summary is read once.
type pairRows struct {
	questionsPath, summariesPath string

	questions *csvRows
	summaries file
	seed      maphash.Seed
	starts    map[uint64]int64 // hash of a document's id: where its row starts
	columns   []string         // of the summaries
	badRows   []*RowError      // of the summaries, named once
	lastID    string
	lastText  string
}

// openPair opens the pair of which given is one half, the other lying beside
// it under its published name.
func openPair(given string, isSummaries bool, open opener) (*pairRows, error) {
	p := &pairRows{questionsPath: given, summariesPath: sibling(given, summariesFile), seed: maphash.MakeSeed()}
	if isSummaries {
		p.questionsPath, p.summariesPath = sibling(given, questionsFile), given
	}
	if err := p.open(open); err != nil {
		return nil, fmt.Errorf("dataset %s: NarrativeQA's questions (%s) and summaries (%s) belong together in one folder: %w",
			given, questionsFile, summariesFile, err)
	}
	if err := p.index(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// sibling keeps to slashes for embedded files, which have no other separator.
func sibling(of, name string) string {
	if filepath.Separator == '/' {
		return path.Join(path.Dir(of), name)
	}
	return filepath.Join(filepath.Dir(of), name)
}

func (p *pairRows) open(open opener) error {
	questions, err := open(p.questionsPath)
	if err != nil {
		return err
	}
	if p.questions, err = p.csv(p.questionsPath, questions, qapsFields[:3]); err != nil {
		questions.Close()
		return err
	}
	if p.summaries, err = open(p.summariesPath); err != nil {
		questions.Close()
		return err
	}
	return nil
}

// csv opens one half, which must have the columns.
func (p *pairRows) csv(name string, f file, columns []string) (*csvRows, error) {
	head := make([]byte, len(bom))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	skip := int64(0)
	if n == len(bom) && string(head) == string(bom) {
		skip = int64(n)
	}
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return nil, err
	}
	rows, err := newCSV(name, f, skip, f)
	if err != nil {
		return nil, err
	}
	header := row{fields: map[string]any{}}
	for _, c := range rows.columns {
		header.fields[c] = ""
	}
	for _, c := range columns {
		if !header.has(c) {
			return nil, fmt.Errorf("%s:1: %w: no column %q", name, ErrFormat, c)
		}
	}
	return rows, nil
}

// index reads through the summaries once.
func (p *pairRows) index() error {
	rows, err := p.csv(p.summariesPath, p.summaries, summaryColumns)
	if err != nil {
		return err
	}
	p.columns = rows.columns
	p.starts = map[uint64]int64{}
	for {
		r, err := rows.next()
		var bad *RowError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
		case err != nil:
			return fmt.Errorf("dataset %s: %w", p.summariesPath, err)
		default:
			bad = p.add(r, rows.start)
		}
		if bad != nil && len(p.badRows) < maxBadSummaries {
			p.badRows = append(p.badRows, bad)
		}
	}
}

func (p *pairRows) add(r row, start int64) *RowError {
	id, err := r.text("document_id")
	if err == nil {
		_, err = r.text("summary")
	}
	key := maphash.String(p.seed, id)
	if _, twice := p.starts[key]; err == nil && twice {
		err = fmt.Errorf("document_id %q is used by an earlier row", clip(id))
	}
	if err != nil {
		return &RowError{File: p.summariesPath, Line: r.line, Why: err.Error()}
	}
	p.starts[key] = start
	return nil
}

// next yields the bad summaries first, then the questions.
func (p *pairRows) next() (row, error) {
	if len(p.badRows) > 0 {
		bad := p.badRows[0]
		p.badRows = p.badRows[1:]
		return row{line: bad.Line}, bad
	}
	r, err := p.questions.next()
	if err != nil {
		return r, err
	}
	text, err := p.summary(r)
	if err != nil {
		return r, &RowError{File: p.questionsPath, Line: r.line, Why: err.Error()}
	}
	r.fields["summary"] = text
	return r, nil
}

// summary returns the summary of a question's document.
func (p *pairRows) summary(r row) (string, error) {
	id, err := r.text("document_id")
	if err != nil {
		return "", err
	}
	if id == p.lastID {
		return p.lastText, nil
	}
	start, ok := p.starts[maphash.String(p.seed, id)]
	if !ok {
		return "", fmt.Errorf("document_id %q has no usable summary in %s", clip(id), p.summariesPath)
	}
	rows := &csvRows{file: p.summariesPath, columns: p.columns, closer: p.summaries,
		lines: newLineReader(io.NewSectionReader(p.summaries, start, maxRecord+1))}
	s, err := rows.next()
	if err != nil {
		return "", fmt.Errorf("the summary of document_id %q: %w", clip(id), err)
	}
	if p.lastText, err = s.text("summary"); err != nil {
		return "", fmt.Errorf("the summary of document_id %q: %w", clip(id), err)
	}
	p.lastID = id
	return p.lastText, nil
}

func (p *pairRows) close() error {
	err := p.questions.close()
	if p.summaries != nil {
		err = errors.Join(err, p.summaries.Close())
	}
	return err
}
