package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/tramontane-dev/tramontane/mistral"
)

func (s *Server) models(ctx context.Context) ([]mistral.Model, error) {
	if s.opts.Models == nil {
		return []mistral.Model{}, nil
	}
	models, err := s.opts.Models(ctx)
	if err != nil {
		return nil, modelError(err, fmt.Sprintf("list of models: %v", err))
	}
	models = slices.Clone(models)
	for i := range models {
		// The TypeScript SDK drops a model that has no type.
		if models[i].Type == "" {
			models[i].Type = "base"
		}
		if models[i].Object == "" {
			models[i].Object = "model"
		}
	}
	return models, nil
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r)
	if provider := q.values.Get("provider"); provider != "" {
		q.refuse("this server does not tell apart models by provider yet, so it has no list for %q", provider, "query", "provider")
	}
	if err := q.err(); err != nil {
		return err
	}
	models, err := s.models(r.Context())
	if err != nil {
		return err
	}
	if name := q.values.Get("model"); name != "" {
		models = slices.DeleteFunc(models, func(m mistral.Model) bool { return m.ID != name })
	}
	return reply(w, &mistral.ModelList{Object: "list", Data: models})
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	models, err := s.models(r.Context())
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	i := slices.IndexFunc(models, func(m mistral.Model) bool { return m.ID == id || slices.Contains(m.Aliases, id) })
	if i < 0 {
		return notFound("there is no model %s in this server's list; GET /v1/models has it", fmt.Sprintf("%q", id))
	}
	return reply(w, models[i])
}
