// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package restored

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestAResourceVersionThatGoesBackIsTold(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	version, counted := "", 0
	w := &Watchman{
		Recorder: recorder, RegistryNamespace: "registry", Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0)), Restored: func() { counted++ },
	}
	w.Live = interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			if version == "" {
				return errors.New("the API server is away")
			}
			list.SetResourceVersion(version)
			return nil
		},
	})
	for i, step := range []struct {
		version string
		told    bool
	}{{"", false}, {"900", false}, {"900", false}, {"1000", false}, {"", false}, {"950", true}, {"951", false}, {"not a number", false}, {"949", true}, {"1000000948", true}, {"1000000950", false}} {
		version = step.version
		w.look(t.Context())
		told := ""
		select {
		case told = <-recorder.Events:
		default:
		}
		if (told != "") != step.told || step.told && !strings.Contains(told, "Warning "+Reason) {
			t.Errorf("step %d, %s: told %q", i, step.version, told)
		}
	}
	if counted != 3 {
		t.Errorf("counted %d", counted)
	}
}
