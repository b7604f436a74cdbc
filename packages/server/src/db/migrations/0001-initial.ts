import { type Kysely, sql } from 'kysely'

const TABLES = [
  `create table store (key text primary key, value text not null) without rowid`,
  `create table key_name (id integer primary key, name text not null unique)`,
  `create table experiment (
    id integer primary key autoincrement, workspace text not null, name text not null,
    artifact_location text not null, stage integer not null default 0,
    creation_time integer not null, last_update_time integer not null,
    unique (workspace, name))`,
  `create index experiment_list on experiment (stage, creation_time desc, id)`,
  `create table experiment_tag (
    experiment integer not null references experiment, key text not null, value text not null,
    primary key (experiment, key)) without rowid`,
  `create table run (
    id integer primary key, experiment integer not null references experiment,
    uuid text not null unique, name text not null, user_id text not null, status integer not null,
    start_time integer not null, end_time integer, artifact_uri text not null,
    stage integer not null default 0, deleted_time integer)`,
  `create index run_list on run (experiment, stage, start_time desc, uuid)`,
  `create table metric_tail (
    id integer primary key, run integer not null, experiment integer not null,
    folded integer not null default 0, n integer not null, data blob not null)`,
  `create index metric_tail_run on metric_tail (run, id)`,
  `create index metric_tail_dirty on metric_tail (experiment, run) where folded = 0`,
  `create table metric_chunk (
    id integer primary key, run integer not null, experiment integer not null,
    level integer not null, first_key integer not null, last_key integer not null,
    n integer not null, min_step integer not null, max_step integer not null, data blob not null)`,
  `create index metric_chunk_run on metric_chunk (run, last_key, first_key)`,
  `create table metric_latest (
    run integer not null, key integer not null, experiment integer not null, n integer not null,
    step integer not null, ts integer not null, value real not null, is_nan integer not null,
    min real, max real, first real not null, first_is_nan integer not null,
    first_step integer not null, first_ts integer not null, primary key (run, key)) without rowid`,
  `create index metric_top on metric_latest (experiment, key, is_nan, value, run)`,
  `create table param (
    run integer not null, key integer not null, experiment integer not null, value text not null,
    primary key (run, key)) without rowid`,
  `create index param_value on param (experiment, key, value, run)`,
  `create table tag (
    run integer not null, key integer not null, experiment integer not null, value text not null,
    primary key (run, key)) without rowid`,
  `create index tag_value on tag (experiment, key, value, run)`,
  `create table run_doc (run integer primary key, data text not null)`,
  `create table dataset (
    id integer primary key, experiment integer not null references experiment,
    name text not null, digest text not null, source_type text not null, source text not null,
    schema text, profile text, unique (experiment, name, digest))`,
  `create table run_dataset (
    run integer not null, dataset integer not null references dataset,
    experiment integer not null, context text, primary key (run, dataset)) without rowid`,
  `create index run_dataset_by_dataset on run_dataset (dataset, run)`,
  `create table run_dataset_tag (
    run integer not null, dataset integer not null, key text not null, value text not null,
    primary key (run, dataset, key)) without rowid`,
  `create table run_model (
    run integer not null, model_id text not null, direction text not null,
    step integer not null default 0, primary key (run, direction, model_id)) without rowid`,
  `create index run_model_by_model on run_model (model_id, run)`,
  `create table logged_model (
    id integer primary key, model_id text not null unique,
    experiment integer not null references experiment, name text not null,
    artifact_location text not null, creation_time integer not null,
    last_updated_time integer not null, status integer not null, status_message text,
    model_type text not null, source_run_id text not null, stage integer not null default 0)`,
  `create index logged_model_list on logged_model (experiment, stage, creation_time desc, model_id)`,
  `create index logged_model_by_run on logged_model (source_run_id)`,
  `create table logged_model_param (
    model integer not null references logged_model, key text not null,
    experiment integer not null, value text not null, primary key (model, key)) without rowid`,
  `create index logged_model_param_value on logged_model_param (experiment, key, value, model)`,
  `create table logged_model_tag (
    model integer not null references logged_model, key text not null,
    experiment integer not null, value text not null, primary key (model, key)) without rowid`,
  `create index logged_model_tag_value on logged_model_tag (experiment, key, value, model)`,
  `create table logged_model_metric (
    model integer not null references logged_model, key text not null, ts integer not null,
    step integer not null, run_id text not null, experiment integer not null,
    value real not null, is_nan integer not null, dataset_name text, dataset_digest text,
    primary key (model, key, ts, step, run_id)) without rowid`,
  `create index logged_model_metric_value on logged_model_metric (experiment, key, value, model)`,
  `create table registered_model (
    id integer primary key, workspace text not null, name text not null, description text,
    creation_time integer not null, last_updated_time integer not null,
    last_version integer not null default 0, is_prompt integer not null default 0,
    unique (workspace, name))`,
  `create table registered_model_tag (
    model integer not null references registered_model on delete cascade, key text not null,
    value text not null, primary key (model, key)) without rowid`,
  `create table registered_model_alias (
    model integer not null references registered_model on delete cascade, alias text not null,
    version integer not null, primary key (model, alias)) without rowid`,
  `create table model_version (
    model integer not null references registered_model on delete cascade,
    version integer not null, description text, creation_time integer not null,
    last_updated_time integer not null, stage text not null, source text not null,
    storage_location text not null, run_id text not null, run_link text not null,
    model_id text, user_id text, status text not null, status_message text,
    primary key (model, version)) without rowid`,
  `create index model_version_by_run on model_version (run_id)`,
  `create index model_version_latest on model_version (model, stage, version)`,
  `create index model_version_list on model_version (last_updated_time desc, model, version desc)`,
  `create table model_version_tag (
    model integer not null, version integer not null, key text not null, value text not null,
    primary key (model, version, key),
    foreign key (model, version) references model_version on delete cascade) without rowid`,
  `create index model_version_tag_value on model_version_tag (key, value, model, version)`,
]

/** The tables of the first release. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of TABLES) await sql.raw(statement).execute(db)
}
