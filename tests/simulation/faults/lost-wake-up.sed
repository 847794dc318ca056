# collector/serve.c
# It lies down without looking once more.
/^static bool lie_down/,/^}/ s/return !serving || !rings_have_more(serve->rings);/return true;/
