package session

import (
	"regexp"
	"strconv"
	"strings"

	"jouletop/engine/event"
)

// Files of earlier programs lack columns of which the ids tell. What stands here is
// for reading them alone: nobody else takes an id apart.

// batchInID finds the batch size in a point's id: model.dataset.b4.c1005.r2.
var batchInID = regexp.MustCompile(`^.*\.b([0-9]+)(?:\.(?:c[0-9]+|(?:fixed|phase|min)-.*))?(?:\.r[0-9]+)?$`)

// routedID begins the ids of points whose queries were routed.
const routedID = "route."

// pointOf returns the point that a batch's or request's id begins with.
func pointOf(id string) string {
	before, _, _ := strings.Cut(id, "/")
	return before
}

func olderPhase(p *event.PhaseEnergy, has func(string) bool) {
	if !has("point_id") {
		p.PointID = pointOf(p.BatchID)
	}
}

func olderRequest(r *event.RequestEnergy, has func(string) bool) {
	if r.PointID == "" {
		r.PointID = pointOf(r.BatchID)
	}
	if !has("routed") {
		r.Routed = strings.HasPrefix(r.PointID, routedID)
	}
	if has("point_batch_size") {
		return
	}
	if m := batchInID.FindStringSubmatch(r.PointID); m != nil {
		if size, err := strconv.Atoi(m[1]); err == nil {
			r.PointBatchSize = size
		}
	}
}

func olderPoint(p *event.PointDone, has func(string) bool) {
	if !has("routed") {
		p.Routed = strings.HasPrefix(p.PointID, routedID)
	}
}
