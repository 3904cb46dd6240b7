package gpu

// Switch is one measured change of the SM clock under load: a row of the table
// of `jouletop gpu switching`.
type Switch struct {
	FromMHz  int
	ToMHz    int
	CallMS   float64 // the driver's call
	SettleMS float64 // from the call's return to the new clock; NaN: not seen to settle
	Err      string  // why there is no figure; "" for none
}
