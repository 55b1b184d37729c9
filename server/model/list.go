package model

import (
	"context"

	"github.com/tramontane-dev/tramontane/mistral"
)

// Models lists the models of the endpoint. Most endpoints tell no more than
// names; their models are then taken for chat models that call functions.
func (c *Chat) Models(ctx context.Context) ([]mistral.Model, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	models, err := c.client(base, "models").Models(ctx)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	for i := range models {
		if c := models[i].Capabilities; !c.CompletionChat && !c.FunctionCalling {
			models[i].Capabilities = chatCapabilities()
		}
	}
	return models, nil
}

// Models lists the one model that answers, whatever name it is asked by.
func (m *Offline) Models(context.Context) ([]mistral.Model, error) {
	return []mistral.Model{{ID: "offline", Capabilities: chatCapabilities()}}, nil
}

// Models lists the one model that answers, whatever name it is asked by.
func (s *Scripted) Models(context.Context) ([]mistral.Model, error) {
	return []mistral.Model{{ID: "scripted", Capabilities: chatCapabilities()}}, nil
}

func chatCapabilities() mistral.ModelCapabilities {
	return mistral.ModelCapabilities{CompletionChat: true, FunctionCalling: true}
}
