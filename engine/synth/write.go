package synth

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/x448/float16"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"jouletop/engine/gguf"
)

// maxF32 bounds F32 models, in weights: larger ones are F16.
const maxF32 = 1e9

// chunk is the number of elements generated and written at once, the unit of
// parallel work.
const chunk = 1 << 20

// Write writes a model of shape s to path. The same seed and type give the same
// bytes, however many cores there are. It writes to a temporary file beside
// path and renames it when whole; on an error, or when ctx is done, nothing is
// left. progress, if not nil, is called with the bytes written so far, from one
// goroutine at a time.
func Write(ctx context.Context, s Shape, q Quant, seed uint64, path string, progress func(done, total int64)) (err error) {
	if q == F32 && s.Parameters() > maxF32 {
		return fmt.Errorf("%s is too large for f32: f16", s.Name)
	}
	v, err := newVocabulary(s)
	if err != nil {
		return err
	}
	weights := s.weights(q)
	file := gguf.File{Meta: s.metadata(q, v)}
	for _, w := range weights {
		file.Tensors = append(file.Tensors, w.Tensor)
	}
	header := file.Encode()
	dir := filepath.Dir(path)
	if err := room(dir, file.Size); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err := f.Truncate(file.Size); err != nil {
		return err
	}
	w := &writer{f: f, total: file.Size, progress: progress}
	if err := w.write(header, 0); err != nil {
		return err
	}
	if err := w.tensors(ctx, weights, &file, seed); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// room fails where the file system of dir has too little space.
func room(dir string, bytes int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < uint64(bytes) {
		return fmt.Errorf("%s are needed and %s are free", humanize.Bytes(uint64(bytes)), humanize.Bytes(free))
	}
	return nil
}

type writer struct {
	f     *os.File
	total int64

	mu       sync.Mutex
	done     int64
	progress func(done, total int64)
}

func (w *writer) write(b []byte, at int64) error {
	if _, err := w.f.WriteAt(b, at); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += int64(len(b))
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
	return nil
}

// tensors writes the weights, a chunk a core at a time.
func (w *writer) tensors(ctx context.Context, weights []weight, file *gguf.File, seed uint64) error {
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	buffers := sync.Pool{New: func() any { return new([]byte) }}
	for i, t := range file.Tensors {
		enc := newEncoder(t.Type, weights[i].fill)
		for from := uint64(0); from < t.Elements(); from += chunk {
			n := min(chunk, t.Elements()-from)
			if running.Err() != nil {
				break // cancelled, or a write failed
			}
			g.Go(func() error {
				buf := buffers.Get().(*[]byte)
				defer buffers.Put(buf)
				rng := splitmix(mix(seed + mix(uint64(i)<<32+from/chunk)))
				*buf = enc.encode((*buf)[:0], &rng, from, n, t.Shape[0])
				return w.write(*buf, file.DataOffset+int64(t.Offset+t.Type.Size(from)))
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// levels is how finely the normal distribution is drawn: 12 bits a number.
const levels = 1 << 12

// quantiles are the middles of equally likely slices of the standard normal
// distribution.
var quantiles = func() (q [levels]float64) {
	for i := range q {
		q[i] = math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/levels-1)
	}
	return q
}()

// encoder turns random bits to the bytes of a tensor's elements.
type encoder struct {
	fill
	half            bool
	normal, reduced [levels]uint32 // the bits of a level, and of a tenth of it
	// The same of quantised types; nil for others. block elements are one.
	blocks, reducedBlocks *blocks
	block                 uint64
}

func newEncoder(t gguf.TensorType, fl fill) *encoder {
	e := &encoder{fill: fl, half: t == gguf.F16}
	switch t {
	case gguf.F16, gguf.F32:
		for i, q := range quantiles {
			e.normal[i] = e.bits(q * fl.std)
			e.reduced[i] = e.bits(q * fl.std / 10)
		}
	default:
		e.blocks, e.reducedBlocks = newBlocks(t, fl.std), newBlocks(t, fl.std/10)
		e.block = block32
		if t == gguf.Q4K || t == gguf.Q6K {
			e.block = block256
		}
	}
	return e
}

func (e *encoder) bits(v float64) uint32 {
	if e.half {
		return uint32(float16.Fromfloat32(float32(v)).Bits())
	}
	return math.Float32bits(float32(v))
}

// encode appends n elements from element from on, of a tensor with rows of row
// elements.
func (e *encoder) encode(b []byte, rng *splitmix, from, n, row uint64) []byte {
	if e.std == 0 {
		for i := range n {
			v := e.constant
			if len(e.values) > 0 {
				v = e.values[(from+i)%uint64(len(e.values))]
			}
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	}
	ordinary := n
	if e.special > 0 {
		ordinary = min(n, max(from, uint64(e.special)*row)-from)
	}
	if e.blocks != nil {
		d := drawer{rng: *rng}
		for range ordinary / e.block {
			b = e.blocks.appendTo(b, &d)
		}
		for range (n - ordinary) / e.block {
			b = e.reducedBlocks.appendTo(b, &d)
		}
		return b
	}
	b = e.draw(b, &e.normal, rng, ordinary)
	return e.draw(b, &e.reduced, rng, n-ordinary)
}

func (e *encoder) draw(b []byte, table *[levels]uint32, rng *splitmix, n uint64) []byte {
	d := drawer{rng: *rng}
	for range n {
		v := table[d.level()]
		if e.half {
			b = append(b, byte(v), byte(v>>8))
		} else {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	*rng = d.rng
	return b
}

// splitmix is the generator SplitMix64 (Steele, Lea, Flood 2014): fast, and
// good enough for weights.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return mix(uint64(*s))
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// DefaultPath returns where a shape's model is kept unless another place is
// given: SHAPE-QUANT.gguf in dir.
func (s Shape) DefaultPath(dir string, q Quant) string {
	return filepath.Join(dir, s.Name+"-"+string(q)+".gguf")
}
