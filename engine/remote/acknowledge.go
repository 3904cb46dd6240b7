package remote

import (
	"context"
	"net"
	"syscall"
)

// dial connects so that what comes is acknowledged at once. Linux puts that off for
// 40 ms, and a server that leaves TCP_NODELAY off holds each token back until the
// one before is acknowledged: the first would seem late, and others to come in
// bursts.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c, nil // it works without
	}
	return &acknowledging{tcp, raw}, nil
}

type acknowledging struct {
	*net.TCPConn
	raw syscall.RawConn
}

// Read reads, and acknowledges: the kernel forgets that it was asked to.
func (c *acknowledging) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	_ = c.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
	return n, err
}
