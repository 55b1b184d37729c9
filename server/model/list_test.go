package model_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tramontane-dev/tramontane/server/model"
)

func TestChatModels(t *testing.T) {
	for _, base := range []string{"/v1", "/v1/", "/openai/api"} {
		var path string
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.Path
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"object":"list","data":[{"id":"qwen3:8b","object":"model","created":1,"owned_by":"library"}]}`))
		}))
		chat := &model.Chat{BaseURL: upstream.URL + base}
		models, err := chat.Models(t.Context())
		upstream.Close()
		if err != nil || len(models) != 1 || models[0].ID != "qwen3:8b" || !models[0].Capabilities.FunctionCalling {
			t.Errorf("Models below %s = %+v, %v, want the one of the endpoint", base, models, err)
		}
		if want := map[string]string{"/v1": "/v1/models", "/v1/": "/v1/models", "/openai/api": "/openai/api/models"}[base]; path != want {
			t.Errorf("asked %s, want %s", path, want)
		}
	}
}
