-- Who may do what. The owner of the tables migrates them; workers, commands, readers and the autoscaler are each a
-- role without a login, and logins are members of one of them (`ensemble-instruct db create-user`).

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['ensemble_worker', 'ensemble_operator', 'ensemble_scaler'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE concat('CREATE ROLE ', quote_ident(wanted), ' NOLOGIN');
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this server has just made it
      WHEN insufficient_privilege THEN
        RAISE EXCEPTION USING
          MESSAGE = concat('the role ', wanted, ' is missing and this user may not create it'),
          HINT = concat('As a user with CREATEROLE run: CREATE ROLE ', wanted, ' NOLOGIN');
    END;
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public, lineage TO ensemble_worker, ensemble_operator;
GRANT USAGE ON SCHEMA public TO ensemble_scaler;
GRANT dataset_reader TO ensemble_operator;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO ensemble_worker, ensemble_operator;

-- A worker adds what the LMs answered and moves work on. It begins no run, changes no job, and deletes no record.
GRANT INSERT ON
  generations, servers, instructions, instances, candidates, judgements, verdicts, examples, work_items, run_spending,
  generation_totals, record_totals, seed_totals, model_shares, endpoint_states
TO ensemble_worker;
GRANT UPDATE ON
  run_targets, run_spending, work_items, instances, generation_totals, record_totals, seed_totals, model_shares,
  endpoint_states
TO ensemble_worker;
GRANT UPDATE (surplus) ON examples TO ensemble_worker;
GRANT UPDATE (state, reason, finished_at, active_s, active_since) ON runs TO ensemble_worker;
GRANT DELETE ON model_shares, endpoint_states TO ensemble_worker;

-- A person's commands begin, change and end runs as well, and put work back that was given up.
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ensemble_operator;
REVOKE INSERT, UPDATE ON alembic_version FROM ensemble_operator;
GRANT DELETE ON instances, candidates, verdicts, model_shares, endpoint_states TO ensemble_operator;

-- Whoever scales the pools counts unfinished work, and sees nothing of what is in it.
GRANT SELECT (id, state) ON runs TO ensemble_scaler;
GRANT SELECT (run_id, queue, state) ON work_items TO ensemble_scaler;
