package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// startupTime is how long a server may take until something listens.
const startupTime = 20 * time.Second

// listen starts a server that listens on the port that arguments or environment
// name, and waits until it does. The server is gone when stop returns.
func listen(ctx context.Context, port string, env []string, name string, args ...string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	stop = func() {
		cancel()
		<-exited
	}
	deadline := time.After(startupTime)
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			conn.Close()
			return stop, nil
		}
		select {
		case <-exited:
			return nil, fmt.Errorf("%s ended before it listened: %s", name, said.String())
		case <-deadline:
			stop()
			return nil, fmt.Errorf("%s does not listen: %s", name, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freePort finds a port on which nothing listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
