//! Our schema on a PostgreSQL server, and who else has a say in it.
//!
//! Other roles use the server too. Who can put a function, a table or a trigger where our statements find it has his
//! statements carried out as our role; so nobody may, and it is made sure before anything of the schema is used.

use sqlx::{Connection, PgConnection};

const IS_THERE: &str = "SELECT to_regnamespace('brandpost') IS NOT NULL";
const MAKE: &str = "CREATE SCHEMA brandpost";

/// What others have a say in, and what to do.
const OTHERS: &str = "
    WITH ours AS (SELECT oid, nspowner, nspacl FROM pg_namespace WHERE nspname = 'brandpost'),
         me AS (SELECT oid FROM pg_roles WHERE rolname = current_user),
         object AS (SELECT relname AS name, relowner AS owner, relnamespace AS schema FROM pg_class
                    UNION ALL SELECT proname, proowner, pronamespace FROM pg_proc
                    UNION ALL SELECT oprname, oprowner, oprnamespace FROM pg_operator
                    UNION ALL SELECT typname, typowner, typnamespace FROM pg_type)
    SELECT format('the schema brandpost belongs to the role %I; run ALTER SCHEMA brandpost OWNER TO %I, or name a database of our own',
                  pg_get_userbyid(nspowner), current_user) AS reason
    FROM ours, me WHERE nspowner <> me.oid
    UNION ALL
    SELECT format('%s may create objects in the schema brandpost; run REVOKE CREATE ON SCHEMA brandpost FROM %s',
                  CASE grantee WHEN 0 THEN 'everybody' ELSE format('the role %I', pg_get_userbyid(grantee)) END,
                  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)::text) END)
    FROM ours, aclexplode(nspacl) WHERE privilege_type = 'CREATE' AND grantee <> nspowner
    UNION ALL
    SELECT format('brandpost.%I belongs to the role %I; look at what it is, then drop it, or make %I its owner',
                  name, pg_get_userbyid(owner), current_user)
    FROM object, ours, me WHERE schema = ours.oid AND owner <> me.oid
    UNION ALL
    SELECT format('%s may add triggers to brandpost.%I; run REVOKE TRIGGER ON brandpost.%2$I FROM %s',
                  CASE grantee WHEN 0 THEN 'everybody' ELSE format('the role %I', pg_get_userbyid(grantee)) END, relname,
                  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)::text) END)
    FROM pg_class, ours, aclexplode(relacl)
    WHERE relnamespace = ours.oid AND privilege_type = 'TRIGGER' AND grantee <> relowner
    UNION ALL
    SELECT format('the trigger %I of brandpost.%I calls a function of the role %I; drop it',
                  tgname, relname, pg_get_userbyid(proowner))
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid, ours, me
    WHERE relnamespace = ours.oid AND NOT tgisinternal AND proowner <> me.oid
    LIMIT 1";

/// Makes the schema if there is none, unless nothing may be written; and gives back why it is not ours alone, if it is not.
/// The connection has nothing of it in its search path.
pub(super) async fn prepare(connection: &mut PgConnection, read_only: bool) -> sqlx::Result<Option<String>> {
    let is_there: bool = sqlx::query_scalar(IS_THERE).fetch_one(&mut *connection).await?;
    if !is_there && !read_only {
        make(connection).await?;
    }
    sqlx::query_scalar(OTHERS).fetch_optional(&mut *connection).await
}

/// Another daemon may make it at the same moment.
async fn make(connection: &mut PgConnection) -> sqlx::Result<()> {
    let made = sqlx::query(MAKE).execute(&mut *connection).await;
    let code = made.as_ref().err().and_then(|error| error.as_database_error()?.code());
    match code.as_deref() {
        Some("42P06" | "23505") => connection.ping().await,
        _ => made.map(drop),
    }
}
