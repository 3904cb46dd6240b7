package energy

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// cholesky is the factor of a positive definite matrix of n rows, without the
// condition number that gonum's own type works out each time: it cost as much as all
// else of a prediction.
type cholesky struct{ blas64.Triangular }

// factorize takes the upper triangle of A, row by row, in whose place the factor
// comes; ok is false where A is not positive definite.
func factorize(A []float64, n int) (c cholesky, ok bool) {
	if n == 0 {
		return c, false
	}
	t, ok := lapack64.Potrf(blas64.Symmetric{N: n, Stride: n, Data: A, Uplo: blas.Upper})
	return cholesky{t}, ok
}

// solve replaces b by the solution of A x = b.
func (c cholesky) solve(b []float64) {
	lapack64.Potrs(c.Triangular, blas64.General{Rows: c.N, Cols: 1, Stride: 1, Data: b})
}

// inverse returns the upper triangle of A's inverse, in the factor's place; ok is
// false where there is none.
func (c cholesky) inverse() (inv []float64, ok bool) {
	s, ok := lapack64.Potri(c.Triangular)
	return s.Data, ok
}
