package mcpauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func chooseLast(offered *[]string) func(context.Context, []string) (string, error) {
	return func(_ context.Context, issuers []string) (string, error) {
		*offered = issuers
		return issuers[len(issuers)-1], nil
	}
}
