package upcloud

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

type storage struct {
	uuid, title, tier, zone string
	kind                    string // normal, backup, template
	access                  string // private, public
	encrypted               string
	size                    int
	state                   string
	created                 time.Time
	labels                  []label
	system                  []label // UpCloud's own, which begin with _ and which nobody can write
	server                  string  // that it is attached to
	origin                  string  // of a backup
}

func (s *storage) allLabels() []label { return append(slices.Clone(s.system), s.labels...) }

func (c *Cloud) listStorages(now *call) (int, any) {
	all := slices.Collect(maps.Values(c.storages))
	all = append(all, templates...)
	slices.SortFunc(all, func(a, b *storage) int { return cmp.Compare(a.uuid, b.uuid) })
	var shown []object
	for _, s := range all {
		if (now.id == "" || now.id == s.kind || now.id == s.access) && labelled(s.allLabels(), now.query) {
			shown = append(shown, entry(s))
		}
	}
	return http.StatusOK, object{"storages": object{"storage": notNil(shown)}}
}

// entry is a storage in a list.
func entry(s *storage) object {
	shown := object{
		"access": s.access, "created": s.created.Format(time.RFC3339), "encrypted": s.encrypted, "labels": notNil(s.allLabels()), "license": 0,
		"size": s.size, "state": s.state, "title": s.title, "type": s.kind, "uuid": s.uuid,
	}
	if s.kind != "backup" {
		shown["tier"] = s.tier
	}
	if s.kind == "template" {
		shown["template_type"] = "cloud-init"
	} else {
		shown["zone"] = s.zone
	}
	if s.origin != "" {
		shown["origin"] = s.origin
	}
	return shown
}

// sheet is a storage's own page.
func (c *Cloud) sheet(s *storage) object {
	shown := entry(s)
	servers, backups := []string{}, []string{}
	if s.server != "" {
		servers = append(servers, s.server)
	}
	for id, other := range c.storages {
		if other.origin == s.uuid {
			backups = append(backups, id)
		}
	}
	slices.Sort(backups)
	shown["servers"] = object{"server": servers}
	if s.kind != "backup" {
		shown["backups"], shown["backup_rule"] = object{"backup": backups}, object{}
	}
	return shown
}

func (c *Cloud) storageNamed(now *call) (*storage, int, any) {
	if !wholeID.MatchString(now.id) {
		status, body := refuse(http.StatusBadRequest, "STORAGE_INVALID", "The storage UUID is invalid.")
		return nil, status, body
	}
	s := c.storages[now.id]
	if s == nil {
		status, body := refuse(http.StatusNotFound, "STORAGE_NOT_FOUND", "The storage %s does not exist.", now.id)
		return nil, status, body
	}
	return s, 0, nil
}

func (c *Cloud) getStorage(now *call) (int, any) {
	s, status, refused := c.storageNamed(now)
	if s == nil {
		return status, refused
	}
	return http.StatusOK, object{"storage": c.sheet(s)}
}

func storageIllegal(s *storage) (int, any) {
	return refuse(http.StatusConflict, "STORAGE_STATE_ILLEGAL", "The operation is not allowed while the storage %s is in state '%s'.", s.uuid, s.state)
}

func (c *Cloud) modifyStorage(now *call) (int, any) {
	var in struct {
		Storage struct {
			Title  string
			Size   number
			Labels *[]label
		}
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	s, status, refused := c.storageNamed(now)
	if s == nil {
		return status, refused
	}
	if s.state != stateOnline {
		return storageIllegal(s)
	}
	if size := int(in.Storage.Size); size != 0 {
		if size < s.size || size > 4096 {
			return refuse(http.StatusBadRequest, "SIZE_INVALID", "The attribute size has an invalid value.")
		}
		if of := c.servers[s.server]; of != nil && of.state != stateStopped {
			return illegal(of)
		}
		s.size = size
	}
	if in.Storage.Labels != nil {
		if refused := checkLabels(*in.Storage.Labels); refused != nil {
			return http.StatusBadRequest, refused
		}
		s.labels = slices.Clone(*in.Storage.Labels)
	}
	s.title = orElse(in.Storage.Title, s.title)
	return http.StatusAccepted, object{"storage": c.sheet(s)}
}

func (c *Cloud) resizeStorage(now *call) (int, any) {
	s, status, refused := c.storageNamed(now)
	if s == nil {
		return status, refused
	}
	if of := c.servers[s.server]; of != nil && of.state != stateStopped {
		return illegal(of)
	}
	return http.StatusOK, object{"resize_backup": c.backupSheet(c.backUp(s))}
}

// backupSheet is a backup as the reply to a resize shows it.
func (c *Cloud) backupSheet(b *storage) object {
	shown := c.sheet(b)
	delete(shown, "encrypted")
	delete(shown, "labels")
	return shown
}

// backUp makes what UpCloud makes before it grows a file system, and bills.
func (c *Cloud) backUp(of *storage) *storage {
	made := &storage{
		uuid: newID("01"), title: "Resize Backup", zone: of.zone, kind: "backup", access: "private", encrypted: of.encrypted, size: of.size,
		state: stateOnline, created: c.Clock.Now(), origin: of.uuid,
	}
	c.storages[made.uuid] = made
	return made
}

func (c *Cloud) deleteStorage(now *call) (int, any) {
	s, status, refused := c.storageNamed(now)
	switch {
	case s == nil:
		return status, refused
	case s.server != "":
		return refuse(http.StatusConflict, "STORAGE_ATTACHED_AS_DISK", "The storage %s is attached to the server %s.", s.uuid, s.server)
	case s.state != stateOnline:
		return storageIllegal(s)
	}
	delete(c.storages, s.uuid)
	if now.query.Get("backups") == "delete" {
		maps.DeleteFunc(c.storages, func(_ string, b *storage) bool { return b.origin == s.uuid })
	}
	return http.StatusNoContent, nil
}

func templateNamed(id string) (*storage, bool) {
	at := slices.IndexFunc(templates, func(t *storage) bool { return strings.EqualFold(t.uuid, id) })
	if at < 0 {
		return nil, false
	}
	return templates[at], true
}
