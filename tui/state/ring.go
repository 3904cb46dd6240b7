package state

// Ring keeps the newest values.
type Ring[T any] struct {
	items []T
	next  int
	limit int
}

func (r *Ring[T]) add(v T) {
	if len(r.items) < r.limit {
		r.items = append(r.items, v)
		return
	}
	r.items[r.next] = v
	r.next = (r.next + 1) % len(r.items)
}

// Len is how many are kept.
func (r *Ring[T]) Len() int { return len(r.items) }

// At returns the i-th newest, 0 the newest; a blank where none is kept.
func (r *Ring[T]) At(i int) *T {
	n := len(r.items)
	if n == 0 {
		return new(T)
	}
	return &r.items[((r.next-1-i)%n+n)%n]
}
